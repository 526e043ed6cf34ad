//! The report of a run: made by training, remade from the folder, compared with others, and what it is in a browser.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use headless_chrome::Tab;
use headless_chrome::browser::tab::point::Point;
use headless_chrome::protocol::cdp::Page;
use image::{Rgb, RgbImage};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::browser::{ask, resize, tab};
use crate::program::{SPEC, fail, place, siamese, succeed, text};

/// Trains on the small set with the CPU runner; answers the run folder.
fn trained(root: &str, data: &str, name: &str, more: &[&str]) -> String {
    let out = format!("{root}/{name}");
    let common = ["train", "--adapter", "cpu", "--spec", SPEC, "--data", data, "--out", &out];
    succeed(&[common.as_slice(), more].concat());
    out
}

/// What a page has in its script element of data.
fn embedded(page: &str) -> Value {
    let (_, rest) = page.split_once(r#"<script type="application/json" id="data">"#).expect("data");
    serde_json::from_str(rest.split_once("</script>").expect("an end").0).expect("JSON")
}

/// Names of the curves' pictures.
fn charts(run: &Value) -> Vec<&str> {
    run["charts"].as_array().unwrap().iter().map(|chart| chart["name"].as_str().unwrap()).collect()
}

#[test]
fn a_page_is_made_and_remade() {
    let (_folder, root, data) = place();
    let out = trained(&root, &data, "run", &["--batch", "4x6", "--steps", "1203"]);
    let page = fs::read_to_string(format!("{out}/report.html")).unwrap();
    for load in ["http:", "https:", "src=", "@import", "fetch(", "url(//"] {
        assert!(!page.contains(load), "the page loads something: {load}");
    }
    let found = embedded(&page);
    let run = &found["runs"][0];
    assert_eq!(run["manifest"]["config"]["spec"], SPEC);
    assert_eq!(run["figures"]["step"], 1203);
    assert_eq!(run["figures"]["classes"], json!(["0", "1", "2", "3"]));
    let knn5 = run["key_figures"].as_array().unwrap().iter().find(|figure| figure["name"] == "5-NN accuracy").unwrap();
    assert_eq!(knn5["value"], run["figures"]["evaluation"]["knn5"]);
    // Thinned, both ends as they were, and the mean of the loss is what it was to within the ends' part in it.
    let steps = run["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 1000);
    let metrics = fs::read_to_string(format!("{out}/metrics.jsonl")).unwrap();
    let measured: Vec<Value> =
        crate::program::events(&metrics).into_iter().filter(|event| event["event"] == "step").collect();
    for (own, event) in [(&steps[0], &measured[0]), (&steps[999], &measured[1202])] {
        assert_eq!(own["step"].as_f64(), event["step"].as_f64());
        for name in ["loss", "active", "d_ap", "d_an", "gradient_norm"] {
            assert!(own[name].is_number() && own[name] == event[name], "{name}: {own} of {event}");
        }
    }
    assert_eq!(charts(run), ["loss", "active", "distances", "gradient"]);

    let remade = siamese(&["report", &out]).output().unwrap();
    assert!(remade.status.success() && text(&remade.stderr).contains("report.html"), "{}", text(&remade.stderr));
    assert!(fs::read_to_string(format!("{out}/report.html")).unwrap() == page, "the page is the same");
    let elsewhere = format!("{root}/page.html");
    succeed(&["report", &out, "--out", &elsewhere]);
    assert!(fs::read_to_string(elsewhere).unwrap() == page);

    let shown = succeed(&["report", &out, "--text"]);
    assert!(shown.contains("5-NN accuracy") && shown.contains("1203 steps"), "{shown}");
    assert!(shown.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "a curve of dots: {shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
}

#[test]
fn two_runs_are_compared() {
    let (folder, root, data) = place();
    let [a, b] =
        ["1", "2"].map(|seed| trained(&root, &data, seed, &["--batch", "4x6", "--steps", "5", "--seed", seed]));
    // Words that would end the element of the data, were they written as they are.
    let reason = "</script><!--<script>";
    let metrics = format!("{b}/metrics.jsonl");
    let warning = json!({ "event": "warning", "step": 5, "reason": reason });
    fs::write(&metrics, format!("{}{warning}\n", fs::read_to_string(&metrics).unwrap())).unwrap();
    let output = siamese(&["report", &a, &b]).current_dir(&folder).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let page = fs::read_to_string(folder.path().join("compare.html")).unwrap();
    let found = embedded(&page);
    let runs = found["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!((&runs[0]["name"], &runs[1]["name"]), (&json!("1"), &json!("2")));
    assert_eq!(runs[1]["warnings"][0]["reason"], reason);

    // What a loss shows is asked of the loss: one that this program does not have is refused.
    let manifest = format!("{b}/run.json");
    let mut settings: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    settings["config"]["loss"] = json!({ "contrastive": 0.5 });
    fs::write(&manifest, settings.to_string()).unwrap();
    let words = fail(&["report", &b]);
    assert!(words.contains("run.json") && words.contains("a loss as text"), "{words}");
    assert_eq!([&runs[0], &runs[1]].map(|run| run["manifest"]["config"]["seed"].as_u64()), [Some(1), Some(2)]);
}

/// Without an evaluation there are curves; steps done again after a resume count once; a torn last line is no fault.
#[test]
fn an_interrupted_run_has_a_page() {
    let (_folder, root, data) = place();
    let out = trained(&root, &data, "run", &["--batch", "4x6", "--steps", "6"]);
    fs::remove_file(format!("{out}/figures.json")).unwrap();
    let file = format!("{out}/metrics.jsonl");
    let metrics = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = metrics.lines().filter(|line| !line.contains("\"evaluation\"")).collect();
    let step = |number: u64| *lines.iter().find(|line| line.contains(&format!("\"step\":{number},"))).unwrap();
    let again = [&lines[..], &[lines[0], step(4), step(5)], &["{\"event\":\"step\",\"st"]].concat();
    fs::write(&file, again.join("\n")).unwrap();
    succeed(&["report", &out]);
    let page = embedded(&fs::read_to_string(format!("{out}/report.html")).unwrap());
    let run = &page["runs"][0];
    let numbers: Vec<_> = run["steps"].as_array().unwrap().iter().map(|step| step["step"].as_f64()).collect();
    assert_eq!(numbers, [1.0, 2.0, 3.0, 4.0, 5.0].map(Some));
    assert!(run["figures"].is_null() && run["key_figures"].as_array().unwrap().is_empty());
    assert!(succeed(&["report", &out, "--text"]).contains("5 steps"));
}

#[test]
fn what_is_no_run_is_refused() {
    let (_folder, root, data) = place();
    let words = fail(&["report", &data]);
    assert!(words.contains(&data) && words.contains("run.json") && words.contains("hint:"), "{words}");
    assert!(fail(&["report", &format!("{root}/nothing")]).contains("nothing"));
    assert!(fail(&["report", &format!("{data}/train-images-idx3-ubyte")]).contains("not a folder"));

    let out = trained(&root, &data, "run", &["--batch", "4x6", "--steps", "2"]);
    for (name, content) in [
        ("figures.json", r#"{"version":99}"#),
        ("figures.json", r#"{"version":1}"#),
        ("figures.json", "no JSON"),
        ("run.json", "no JSON"),
    ] {
        let file = format!("{out}/{name}");
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, content).unwrap();
        let words = fail(&["report", &out]);
        assert!(words.contains(name) && words.contains("hint:"), "{words}");
        fs::write(&file, bytes).unwrap();
    }
    let file = format!("{out}/metrics.jsonl");
    fs::write(&file, [&fs::read(&file).unwrap()[..], b"{\"event\":\"st\xff\n"].concat()).unwrap();
    let output = siamese(&["report", &out]).output().unwrap();
    let words = text(&output.stderr);
    assert!(output.status.success() && words.contains("metrics.jsonl: line") && words.contains("torn"), "{words}");
    fs::remove_file(&file).unwrap();
    assert!(fail(&["report", &out]).contains("metrics.jsonl"));
    assert!(Path::new(&out).join("report.html").exists(), "the page that was there stays");
}

/// Trains on a folder of 160 identities of five pictures, in colour; answers the run folder.
fn trained_on_many(root: &str) -> String {
    for person in 0..160_u32 {
        let class = format!("{root}/people/p{person:03}");
        fs::create_dir_all(&class).unwrap();
        for number in 0..5_u32 {
            let noise = |x: u32, y: u32| ((x * 37 + y * 59 + number * 83 + person * 7) % 64) as u8;
            let own =
                |x: u32, y: u32| Rgb([x * person, y * person, (x + y) * 3].map(|v| (v % 160) as u8 + noise(x, y)));
            RgbImage::from_fn(16, 16, own).save(format!("{class}/{number}.png")).unwrap();
        }
    }
    let people = format!("{root}/people");
    trained(root, &people, "many", &["--batch", "8x4", "--steps", "20", "--seed", "1"])
}

/// A page of many identities shows pairs of them that are taken for each other, the worst and the best, instead of a
/// matrix and of votes that there are not.
#[test]
fn many_identities_have_a_page_of_their_own() {
    let (_folder, root, _) = place();
    let out = trained_on_many(&root);
    let page = fs::read_to_string(format!("{out}/report.html")).unwrap();
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    let run = &embedded(&page)["runs"][0];
    let figures = &run["figures"];
    assert!(
        figures["confusion"].as_array().unwrap().is_empty() && figures["map"]["answers"].as_array().unwrap().is_empty()
    );
    let names: Vec<_> = run["key_figures"].as_array().unwrap().iter().map(|figure| &figure["name"]).collect();
    assert_eq!(names[..4], ["recall at 1", "MAP at R", "one-shot accuracy", "random galleries"]);
    let list = |name: &str| figures[name].as_array().unwrap().clone();
    let (mistaken, worst, best) = (list("mistaken"), list("worst"), list("best"));
    assert_eq!((worst.len(), best.len()), (12, 12));
    // Images that are nearest to another identity are those that recall misses.
    let images = figures["evaluation"]["images"].as_f64().unwrap();
    let missed = images * (1.0 - figures["evaluation"]["recall_at_1"].as_f64().unwrap());
    let counted: f64 = mistaken.iter().map(|pair| pair["count"].as_f64().unwrap()).sum();
    assert!(counted > 0.0 && counted <= missed.round(), "{counted} of {missed}");
    for pair in &mistaken {
        assert_ne!(pair["image"]["class"], pair["taken_for"]["class"]);
        assert!(pair["of"] == 10 && pair["count"].as_u64().unwrap() <= 10, "{pair}");
    }
    let share = |standing: &Value| standing["found"].as_f64().unwrap() / standing["images"].as_f64().unwrap();
    assert!(worst.windows(2).all(|two| share(&two[0]) <= share(&two[1])), "the worst first");
    assert!(share(&worst[11]) <= share(&best[11]) && share(&best[0]) == best.iter().map(share).fold(0.0, f64::max));
    for standing in worst.iter().chain(&best) {
        let nearer = standing["shown"].as_array().unwrap().iter().filter(|image| image["nearer"] == true).count();
        assert_eq!(nearer as u64, 5 - standing["found"].as_u64().unwrap(), "all five are shown: {standing}");
    }
    assert!(list("gallery").len() <= 60);
}

/// The folder may be anybody's: what the page shows as it stands are numbers, and its own script is the only one that a
/// browser runs.
#[test]
fn a_foreign_run_folder_runs_no_script() {
    let (_folder, root, data) = place();
    let out = trained(&root, &data, "run", &["--batch", "4x6", "--steps", "2"]);
    let attack = "<img src=x onerror=alert(1)>";
    for (name, pointer) in [
        ("run.json", "/config/seed"),
        ("run.json", "/config/learning_rate"),
        ("run.json", "/config"),
        ("run.json", "/input"),
        ("figures.json", "/sprite/png"),
        ("figures.json", "/sprite/columns"),
        ("figures.json", "/step"),
    ] {
        let file = format!("{out}/{name}");
        let bytes = fs::read(&file).unwrap();
        let mut value: Value = serde_json::from_slice(&bytes).unwrap();
        *value.pointer_mut(pointer).unwrap() = json!(attack);
        fs::write(&file, value.to_string()).unwrap();
        let words = fail(&["report", &out]);
        assert!(words.contains(name), "{pointer}: {words}");
        fs::write(&file, bytes).unwrap();
    }
    let file = format!("{out}/metrics.jsonl");
    let forged = ["start", "validation", "warning"].map(|event| {
        json!({ "event": event, "step": attack, "map_at_r": attack, "parameters": attack, "reason": 0 }).to_string()
    });
    fs::write(&file, [&fs::read_to_string(&file).unwrap(), forged.join("\n").as_str()].concat()).unwrap();
    succeed(&["report", &out]);
    let page = fs::read_to_string(format!("{out}/report.html")).unwrap();
    assert!(!page.contains("onerror"), "events of other types are no events");
    let (_, script) = page.split_once("<script>").unwrap();
    let hash = STANDARD.encode(Sha256::digest(script.split_once("</script>").unwrap().0));
    let policy = format!("default-src 'none'; script-src 'sha256-{hash}';");
    assert!(page.split_once("<style>").unwrap().0.contains(&policy), "the policy stands before all else");
}

/// The figures of a page with the number of marks that are drawn in each.
const DRAWN: &str = "return Object.fromEntries([...document.querySelectorAll('[data-figure]')].map((figure) => [
    figure.dataset.figure,
    [...figure.querySelectorAll('svg path, svg circle, svg rect, .tile, td, p')].filter((mark) => {
        const { width, height } = mark.getBoundingClientRect();
        return width > 0 || height > 0;
    }).length,
]))";

/// Opens a page; it must run without an error, load nothing, draw all `figures`, and fit on a phone.
fn look(tab: &Tab, page: &str, figures: &[&str]) {
    tab.navigate_to(&format!("file://{page}")).unwrap().wait_until_navigated().unwrap();
    for width in [390, 1280] {
        resize(tab, width, 900);
        let drawn = ask(tab, &format!("await new Promise((done) => setTimeout(done, 200)); {DRAWN}"));
        for figure in figures {
            assert!(drawn[figure].as_u64().is_some_and(|marks| marks > 0), "{figure} at {width} pixels: {drawn}");
        }
        let wide = ask(tab, "return document.documentElement.scrollWidth");
        assert!(wide.as_u64().unwrap() <= u64::from(width), "{wide} of {width} pixels");
    }
    assert_eq!(ask(tab, "return faults"), json!([]), "script errors");
    let loaded = ask(tab, "return performance.getEntriesByType('resource').map((entry) => entry.name)");
    assert!(loaded.as_array().unwrap().iter().all(|name| name.as_str().unwrap().starts_with("data:")), "{loaded}");
}

/// Pages as a browser shows them. With `SIAMESE_SCREENSHOT` the whole page of one run is written to that
/// file, with `SIAMESE_SCREENSHOT_OF_MANY` that of many identities.
#[test]
#[ignore = "needs Chromium: apt-get install chromium; run with --ignored"]
fn page_in_chromium() {
    let (folder, root, data) = place();
    let watched = trained(
        &root,
        &data,
        "watched",
        &["--batch", "4x6", "--steps", "150", "--validation", "60", "--validate-every", "30"],
    );
    let drawn = trained(&root, &data, "drawn", &["--steps=1", "--mining", "random", "--batch", "8"]);
    let compared = format!("{root}/compare.html");
    succeed(&["report", &watched, &drawn, "--out", &compared]);
    let (_browser, tab) = tab(&folder.path().join("profile"), &[]);

    // It opens at once, also where there are many identities, whose pictures are then on the map.
    let many = trained_on_many(&root);
    look(&tab, &format!("{many}/report.html"), &["map", "mistaken", "worst", "best", "gallery", "errors"]);
    let opened = ask(&tab, "return performance.getEntriesByType('navigation')[0].loadEventEnd");
    assert!(opened.as_f64().unwrap() < 2000.0, "open after {opened} ms");
    let pictures = ask(&tab, "return document.querySelectorAll('[data-figure=map] .tile').length");
    assert!(pictures.as_u64().unwrap() > 20, "{pictures} pictures on the map");
    if let Ok(file) = std::env::var("SIAMESE_SCREENSHOT_OF_MANY") {
        screenshot(&tab, &file);
    }

    let curves = ["loss", "active", "gradient"];
    let own = ["distances", "map", "histogram", "roc", "confusion", "confused", "triplets", "gallery", "errors"];
    look(&tab, &compared, &[&curves[..], &["validation", "figures", "roc", "settings"]].concat());
    look(&tab, &format!("{drawn}/report.html"), &[&curves[..], &own].concat());
    look(&tab, &format!("{watched}/report.html"), &[&curves[..], &own, &["validation"]].concat());

    let sprite = "const { sprite } = data.runs[0].figures, image = new Image();
        image.src = 'data:image/png;base64,' + sprite.png;
        await image.decode();
        return image.naturalWidth === sprite.columns * sprite.width";
    assert_eq!(ask(&tab, sprite), true, "the browser reads the images");
    let point = "const point = document.querySelector('[data-figure=map] svg g');
        point.scrollIntoView({ block: 'center' });
        const box = point.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2]";
    let tip = "const tile = document.querySelector('[data-figure=map] .tip .tile');
        if (!tile) return null;
        const { width } = tile.getBoundingClientRect();
        return width > 20 && getComputedStyle(tile).backgroundImage.startsWith('url(\"data:image/png')";
    for layout in 0..2 {
        ask(&tab, &format!("document.querySelectorAll('[aria-label=layout] button')[{layout}].click(); return 0"));
        assert_eq!(ask(&tab, tip), Value::Null, "nothing is pointed at");
        let place: [f64; 2] = serde_json::from_value(ask(&tab, point)).unwrap();
        tab.move_mouse_to_point(Point { x: place[0], y: place[1] }).unwrap();
        assert_eq!(ask(&tab, tip), true, "the image of the point");
    }
    assert_eq!(ask(&tab, "return faults"), json!([]), "script errors");
    let foreign = "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = true\">');
        await new Promise((done) => setTimeout(done, 300));
        return window.ran ?? null";
    assert_eq!(ask(&tab, foreign), Value::Null, "no script runs but the page's own");

    if let Ok(file) = std::env::var("SIAMESE_SCREENSHOT") {
        screenshot(&tab, &file);
    }
}

/// The whole page as a picture.
fn screenshot(tab: &Tab, file: &str) {
    let high = ask(tab, "return document.documentElement.scrollHeight");
    resize(tab, 1280, high.as_u64().unwrap() as u32);
    let png = tab.capture_screenshot(Page::CaptureScreenshotFormatOption::Png, None, None, true).unwrap();
    fs::write(file, png).unwrap();
}
