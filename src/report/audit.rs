//! The page of an audit: suspicious pictures beside the nearest ones of their own identity and of the other. HTML that
//! needs no script, no network and no other file.

use std::borrow::Cow;
use std::fmt::Write;

use siamese::Result;
use siamese::audit::Place;
use siamese::data::Dataset;
use siamese::eval::{Embedded, squared_distance};
use siamese::figures::{Sprite, Tiles};

/// Pictures on a page at most.
pub const SHOWN: usize = 100;
/// Pictures of an identity beside one at most.
const BESIDE: usize = 4;
/// Pixels of the screen that a tile has at least, where it is smaller.
const SIDE: usize = 48;

/// The page up to its style's last rule, and from there to the rows of its table.
const TEMPLATE: &str = include_str!("audit.html");
/// Where the image of all tiles and their size stand in it.
const STYLE: &str = "{{tiles}}";
/// Where the rows of its table stand.
const ROWS: &str = "{{rows}}";

/// The page of these pictures, in their order. Distances are squared ones times `scale`.
///
/// # Errors
/// [`siamese::Error::Data`] where a picture cannot be read.
pub fn page(data: &Dataset, names: &[String], e: Embedded, places: &[Place], scale: f32) -> Result<String> {
    let rows_of = data.rows_by_label();
    let embedding = |row: usize| &e.values[row * e.dims..][..e.dims];
    let beside = |row: usize, label: u32| {
        let others = rows_of[label as usize].iter().map(|&other| other as usize).filter(|&other| other != row);
        let mut near: Vec<_> =
            others.map(|other| (squared_distance(embedding(row), embedding(other)), other)).collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        near.truncate(BESIDE);
        near
    };
    let mut tiles = Tiles::new([data.height, data.width, data.channels]);
    let mut lines = Vec::new();
    for place in places {
        let own = tiles.add(data.image(place.row));
        let sides = [(data.labels[place.row], place.own), (place.label, place.other)].map(|(label, distance)| {
            let near = beside(place.row, label).into_iter();
            let near = near.map(|(distance, row)| (tiles.add(data.image(row)), distance, row)).collect::<Vec<_>>();
            (label, distance, near)
        });
        lines.push((place, own, sides));
    }
    let sprite = tiles.sprite()?;
    let zoom = (SIDE / sprite.width.max(sprite.height)).max(1);
    let tile = |number: u32, title: &str| {
        let number = number as usize;
        let x = number % sprite.columns * sprite.width * zoom;
        let y = number / sprite.columns * sprite.height * zoom;
        format!("<i class=\"tile\" style=\"background-position:-{x}px -{y}px\" title=\"{}\"></i>", escaped(title))
    };
    let mut rows = String::new();
    for (place, own, sides) in lines {
        let name = escaped(&names[place.row]);
        let picture = tile(own, &names[place.row]);
        write!(rows, "<tr><td class=\"number\">{:.3}</td><td>{picture}<p>{name}</p></td>", place.score())
            .expect("a string takes any");
        for (label, distance, near) in sides {
            let near: String = near
                .iter()
                .map(|&(number, distance, row)| tile(number, &format!("{}, {:.3}", names[row], distance * scale)))
                .collect();
            let (label, distance) = (data.label_name(label), distance * scale);
            write!(rows, "<td><p><b>{}</b> {distance:.3}</p>{near}</td>", escaped(&label)).expect("a string takes any");
        }
        rows.push_str("</tr>\n");
    }
    Ok(TEMPLATE.replacen(STYLE, &style(&sprite, zoom), 1).replacen(ROWS, &rows, 1))
}

fn style(sprite: &Sprite, zoom: usize) -> String {
    let [width, height, all] = [sprite.width, sprite.height, sprite.width * sprite.columns].map(|side| side * zoom);
    let image = format!("url(data:image/png;base64,{})", sprite.png);
    format!("width:{width}px;height:{height}px;background-size:{all}px auto;background-image:{image}")
}

/// A text that stands in HTML, in an attribute too.
fn escaped(text: &str) -> Cow<'_, str> {
    let special = |c: char| matches!(c, '&' | '<' | '>' | '"');
    if !text.contains(special) {
        return text.into();
    }
    let escaped = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        c => c.to_string(),
    };
    text.chars().map(escaped).collect::<String>().into()
}
