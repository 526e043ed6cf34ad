//! The page as people use it, in Chromium.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use headless_chrome::Tab;
use headless_chrome::protocol::cdp::{Emulation, Input, Page};
use image::{GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use siamese::checkpoint::Checkpoint;
use siamese::data::pictures::{Ground, Pictures, read};
use siamese::gallery::Gallery;

use crate::browser::{SOFTWARE_WEBGPU, ask, call, resize, serve, tab};
use crate::program::{events, succeed};
use crate::{assert_near, common, expected};

const INDEX: &str = include_str!("../../src/web/page/index.html");

/// The page says itself what a browser may do for it: run its own modules, no other script, and its one style.
#[test]
fn the_policy_is_of_the_page() {
    let (_, style) = INDEX.split_once("<style>").unwrap();
    let hash = STANDARD.encode(Sha256::digest(style.split_once("</style>").unwrap().0));
    let policy = format!("default-src 'none'; script-src 'self'; style-src 'sha256-{hash}'; connect-src 'self'; ");
    assert!(INDEX.contains(&policy), "the style is of {policy}");
    assert!(!INDEX.contains("style=\"") && !INDEX.contains("onclick"), "what the policy forbids");
    for load in ["http://", "https://", "//cdn", "@import"] {
        let found = INDEX.match_indices(load).filter(|(place, _)| !INDEX[*place..].starts_with("http://localhost"));
        assert_eq!(found.count(), 0, "the page names {load}");
    }
}

/// The default network after a short training on a part of MNIST, with a gallery of five test images of each digit, as
/// a folder of a page.
struct Exported {
    folder: tempfile::TempDir,
    model: Checkpoint,
    gallery: Gallery,
}

impl Exported {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn new() -> Exported {
        let folder = tempfile::tempdir().unwrap();
        let [data, run, gallery, page] =
            ["data", "run", "digits.gallery", "page"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
        write_part(Path::new(&data));
        succeed(&["train", "--adapter", "cpu", "--data", &data, "--steps", "150", "--out", &run]);
        let first = ["--set", "test", "--take", "first", "--per-class", "5"];
        succeed(&[&["enroll", "--adapter", "cpu", &run, &gallery][..], &first, &["--threshold", "1.5"]].concat());
        succeed(&["export", &run, "--web", &page, "--gallery", &gallery]);
        let model = Checkpoint::load(&Path::new(&run).join("checkpoint.safetensors")).unwrap();
        let gallery = Gallery::load(Path::new(&gallery)).unwrap();
        Exported { folder, model, gallery }
    }

    /// What a static server has.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.folder.path().join("page")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.folder.path().join("page")).unwrap();
                    files.insert(name.to_str().unwrap().to_owned(), fs::read(&path).unwrap());
                }
            }
        }
        files
    }
}

/// The first images of MNIST as IDX files, 5,000 and 400.
fn write_part(folder: &Path) {
    fs::create_dir(folder).unwrap();
    let split = common::mnist();
    for (name, data) in [("train", split.train.take(5000)), ("t10k", split.test.take(400))] {
        let head = |kind: u8, sides: &[u32]| {
            let sides: Vec<u8> = sides.iter().flat_map(|side| side.to_be_bytes()).collect();
            [&[0, 0, 8, kind][..], &sides].concat()
        };
        let count = data.len() as u32;
        let pixels: Vec<u8> = (0..data.len()).flat_map(|row| data.images.image(row).unwrap().to_vec()).collect();
        let labels: Vec<u8> = data.labels.iter().map(|&label| label as u8).collect();
        let [images, labels] = [[head(3, &[count, 28, 28]), pixels].concat(), [head(1, &[count]), labels].concat()];
        fs::write(folder.join(format!("{name}-images-idx3-ubyte")), images).unwrap();
        fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), labels).unwrap();
    }
}

/// Waits until a script answers `true`.
fn wait(tab: &Tab, what: &str, script: &str) {
    let start = Instant::now();
    while ask(tab, script) != true {
        if start.elapsed() > Duration::from_secs(60) {
            let page = ask(tab, "return document.body.innerText");
            panic!("{what}: {script} is not so; faults {}; {page}", ask(tab, "return faults"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn shows(tab: &Tab, id: &str) -> String {
    ask(tab, &format!("return document.getElementById('{id}').textContent")).as_str().unwrap().to_owned()
}

fn open(tab: &Tab, address: &str) {
    let watch = "addEventListener('securitypolicyviolation', (event) => faults.push(event.violatedDirective));
        for (const kind of ['error', 'warn']) {
            console[kind] = (...words) => faults.push(words.join(' '));
        }";
    call::<Page::AddScriptToEvaluateOnNewDocument>(tab, json!({ "source": watch }));
    tab.navigate_to(address).unwrap().wait_until_navigated().unwrap();
    wait(tab, "the page starts", "return !document.getElementById('main').hidden");
}

/// Draws strokes with the mouse; points are in shares of the paper.
fn draw(tab: &Tab, strokes: &[&[[f64; 2]]]) {
    ask(tab, "document.getElementById('clear').click(); return null");
    let place = "const paper = document.getElementById('paper');
        paper.scrollIntoView({ block: 'center' });
        const box = paper.getBoundingClientRect();
        return [box.left, box.top, box.width]";
    let [left, top, side]: [f64; 3] = serde_json::from_value(ask(tab, place)).unwrap();
    let mouse = |kind: &str, [x, y]: [f64; 2]| {
        let (x, y) = (left + x * side, top + y * side);
        let buttons = u8::from(kind != "mouseReleased");
        let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1 });
        call::<Input::DispatchMouseEvent>(tab, event);
    };
    for stroke in strokes {
        mouse("mousePressed", stroke[0]);
        for two in stroke.windows(2) {
            let [from, to] = [two[0], two[1]];
            (1..=4).for_each(|step| {
                let share = f64::from(step) / 4.0;
                mouse("mouseMoved", [0, 1].map(|k| from[k] + share * (to[k] - from[k])));
            });
        }
        mouse("mouseReleased", *stroke.last().unwrap());
    }
    settled(tab);
}

/// Waits for the answer to what is shown.
fn settled(tab: &Tab) {
    wait(tab, "it is recognised", "return document.getElementById('answer').ariaBusy === 'false'");
}

/// Some digits as people draw them, small and in a corner too.
fn digits() -> Vec<(&'static str, Vec<Vec<[f64; 2]>>)> {
    let ring = |x: f64, y: f64, wide: f64, high: f64| {
        (0..=16)
            .map(|k| f64::from(k) / 16.0 * std::f64::consts::TAU)
            .map(move |a| [x + wide * a.sin(), y - high * a.cos()])
    };
    vec![
        ("0", vec![ring(0.5, 0.5, 0.2, 0.3).collect()]),
        ("1", vec![vec![[0.3, 0.1], [0.28, 0.3]]]),
        ("7", vec![vec![[0.3, 0.2], [0.7, 0.2], [0.45, 0.8]]]),
        ("4", vec![vec![[0.38, 0.2], [0.33, 0.5], [0.66, 0.5]], vec![[0.66, 0.2], [0.63, 0.8]]]),
    ]
}

/// The input that the page shows.
fn seen(tab: &Tab) -> Vec<u8> {
    let pixels = "const canvas = document.getElementById('seen');
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return [...data].filter((_, k) => k % 4 === 0)";
    serde_json::from_value(ask(tab, pixels)).unwrap()
}

/// Embeds the 200 images at `images` in the page; answers what `open` of network.js made, and what gallery.js says.
fn embedded(tab: &Tab, javascript: bool) -> (Vec<f32>, Vec<String>) {
    let script = format!(
        "const [{{ open }}, {{ Gallery }}] = await Promise.all([import('./network.js'), import('./gallery.js')]);
        const network = await open(document.baseURI, {{ javascript: {javascript} }});
        const bytes = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
        const all = await bytes('images'), pixels = 28 * 28, {{ dims }} = network.description;
        const images = Array.from({{ length: 200 }}, (_, k) => all.subarray(k * pixels, (k + 1) * pixels));
        const gallery = Gallery.read(await bytes('enrolled.gallery'), network.description);
        const values = await network.embed(images);
        return [[...values], images.map((_, k) => gallery.recognise(values.slice(k * dims, (k + 1) * dims)).nearest)]"
    );
    let found = ask(tab, &script);
    serde_json::from_value(found.clone()).unwrap_or_else(|error| panic!("{error}: {found}"))
}

#[test]
#[ignore = "needs Chromium: apt-get install chromium; run with --ignored"]
fn a_drawn_digit_is_named() {
    let exported = Exported::new();
    let images: Vec<u8> = {
        let test = common::mnist().test;
        (200..400).flat_map(|row| test.images.image(row).unwrap().to_vec()).collect()
    };
    let mut files = exported.files();
    let weights: usize = ["weights.bin", "enrolled.gallery"].map(|name| files[name].len()).iter().sum();
    let all: usize = files.values().map(Vec::len).sum();
    println!("{} files, {} bytes without weights and gallery", files.len(), all - weights);
    assert!(all - weights < 150_000, "the folder without its weights");
    files.insert("images".to_owned(), images.clone());
    let address = serve(files);
    let expected = expected(&exported.model, &images);
    let nearest: Vec<_> = exported.gallery.recognise_all(&expected.0, 1).into_iter().map(|own| own.nearest).collect();

    let fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
    let profile = tempfile::tempdir().unwrap();
    let (_browser, tab) = tab(profile.path(), &[SOFTWARE_WEBGPU, &fake].concat());
    let start = Instant::now();
    open(&tab, &address);
    let mut named = BTreeMap::new();
    let mut pictures = BTreeMap::new();
    for (digit, strokes) in digits() {
        draw(&tab, &strokes.iter().map(Vec::as_slice).collect::<Vec<_>>());
        if named.is_empty() {
            println!("the first digit is named {:?} after the page was asked for", start.elapsed());
        }
        named.insert(digit, shows(&tab, "answer"));
        pictures.insert(digit, seen(&tab));
    }
    println!("named {named:?}; {}", shows(&tab, "facts"));
    assert!(named.iter().all(|(digit, name)| digit == name), "{named:?}");
    assert!(shows(&tab, "facts").contains("WebGPU"), "{}", shows(&tab, "facts"));
    assert_eq!(ask(&tab, "return document.querySelectorAll('#map .probe').length"), 1);

    for javascript in [false, true] {
        let (values, found) = embedded(&tab, javascript);
        assert_near(if javascript { "JavaScript" } else { "WebGPU" }, &values, &expected);
        assert_eq!(found, nearest);
    }
    pictures_become_inputs(&tab);
    a_gallery_keeps_the_rules(&tab);
    a_gallery_goes_to_the_program_and_back(&exported, &tab, &pictures["4"], profile.path());
    the_camera_is_seen(&tab);
    strokes_are_undone(&tab);
    the_page_fits(&tab);
    assert_eq!(ask(&tab, "return faults"), json!([]), "script errors");
    let elsewhere = format!(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)
            .filter((name) => !/^(blob|data):/.test(name) && !name.startsWith('{address}'))"
    );
    assert_eq!(ask(&tab, &elsewhere), json!([]), "what is loaded from elsewhere");
    without_webgpu(&exported, &address, &named);
}

/// Each rule of `siamese::data::pictures` as the page has it.
fn pictures_become_inputs(tab: &Tab) {
    let noise =
        |x: u32, y: u32, k: u32| ((x * 7919 + y * 104_729 + k * 15_485_863).wrapping_mul(2_654_435_761) >> 24) as u8;
    let grey = GrayImage::from_fn(61, 50, |x, y| Luma([noise(x, y, 0)]));
    let small = GrayImage::from_fn(7, 5, |x, y| Luma([noise(x, y, 1)]));
    let colour = RgbImage::from_fn(90, 33, |x, y| Rgb([0, 1, 2].map(|k| noise(x, y, k))));
    let clear = RgbaImage::from_fn(40, 40, |x, y| Rgba([0, 1, 2, 3].map(|k| noise(x, y, k))));
    let fitting = GrayImage::from_fn(28, 28, |x, y| Luma([noise(x, y, 5)]));
    let folder = tempfile::tempdir().unwrap();
    let sources: [(image::DynamicImage, i32); 5] =
        [(grey.into(), 0), (small.into(), 0), (colour.into(), 0), (clear.into(), 1), (fitting.into(), 0)];
    for (place, (picture, most)) in sources.into_iter().enumerate() {
        let path = folder.path().join(format!("{place}.png"));
        picture.save(&path).unwrap();
        let bytes = STANDARD.encode(fs::read(&path).unwrap());
        for (invert, ground, name, channels) in [
            (false, Ground::Black, "black", 1),
            (true, Ground::Black, "black", 3),
            (false, Ground::White, "white", 3),
            (true, Ground::Grey, "grey", 1),
        ] {
            let input = json!({ "height": 28, "width": 28, "channels": channels, "invert": invert, "ground": name });
            let script = format!(
                "const {{ decode, prepare }} = await import('./picture.js');
                const bytes = Uint8Array.from(atob('{bytes}'), (letter) => letter.charCodeAt(0));
                return [...prepare(await decode(new Blob([bytes]), 'picture'), {input})]"
            );
            let found = ask(tab, &script);
            let found: Vec<u8> = serde_json::from_value(found.clone()).unwrap_or_else(|_| panic!("{found}"));
            let own = read(&path, [28, 28, channels], Pictures { invert, ground }).unwrap();
            assert_eq!(found.len(), own.len());
            let apart = found.iter().zip(&own).map(|(&a, &b)| (i32::from(a) - i32::from(b)).abs()).max().unwrap();
            // Browsers keep colours multiplied by the opacity, and lose a half of the last bit.
            assert!(apart <= most, "picture {place} as {input}: {apart} apart");
        }
    }
}

/// What `siamese::gallery` says of files, of pictures that are enrolled again, and of thresholds.
fn a_gallery_keeps_the_rules(tab: &Tab) {
    let script = "const { Gallery, sha256 } = await import('./gallery.js');
        const description = await (await fetch('plan.json')).json(), { dims } = description;
        const bytes = new Uint8Array(await (await fetch('enrolled.gallery')).arrayBuffer());
        const read = () => Gallery.read(bytes, description);
        const refusal = (action) => { try { action(); } catch (error) { return error.message; } };
        const found = {}, written = read().write();
        found.same = written.length === bytes.length && written.every((byte, k) => byte === bytes[k]);
        found.model = refusal(() => Gallery.read(bytes, { ...description, model: 'another' }));
        found.cut = refusal(() => Gallery.read(bytes.subarray(0, bytes.length - 1), description));
        const digest = await crypto.subtle.digest('SHA-256', bytes);
        const digits = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0'));
        found.content = sha256(bytes) === digits.join('');
        const gallery = read(), one = new Float32Array(dims).fill(0.125);
        gallery.threshold = { distance: 1, far: 0.01 };
        const added = [gallery.add('e\\u0301', 'a.png', 'ab', one), gallery.add('\\u00e9', 'b.png', 'ab', one)];
        found.added = [...added, gallery.threshold, gallery.counts()[10]];
        found.other = refusal(() => gallery.add('ada', 'b.png', 'ab', one));
        found.flaw = refusal(() => gallery.add('ada', 'c.png', 'cd', new Float32Array(dims).fill(NaN)));
        gallery.threshold = { distance: 1, far: null };
        gallery.remove('0');
        found.removed = [gallery.identities.length, gallery.threshold.distance, gallery.recognise(one).identity];
        found.empty = new Gallery(description).recognise(one);
        return found";
    let found = ask(tab, script);
    assert_eq!(found["same"], true, "a file that is read and written again: {found}");
    assert_eq!(found["content"], true);
    for (key, words) in [
        ("model", "their distances mean nothing"),
        ("cut", "cut off"),
        ("other", "enrolled as \u{e9} already, under the name a.png"),
        ("flaw", "not finite"),
    ] {
        assert!(found[key].as_str().is_some_and(|own| own.contains(words)), "{key}: {found}");
    }
    assert_eq!(found["added"], json!([true, false, null, 1]));
    assert_eq!(found["removed"], json!([10, 1, "\u{e9}"]));
    assert_eq!(found["empty"], Value::Null);
}

/// Enrols what is shown, saves; the program reads it and answers as the page; the page loads it again.
fn a_gallery_goes_to_the_program_and_back(exported: &Exported, tab: &Tab, four: &[u8], downloads: &Path) {
    let enrol = "document.getElementById('name').value = '  Zoe\u{308}  ';
        document.getElementById('add').click();
        return document.getElementById('enrolled').textContent";
    assert_eq!(ask(tab, enrol), "Enrolled as Zoë.");
    assert_eq!(shows(tab, "answer"), "Zoë");
    assert_eq!(ask(tab, enrol), "It is enrolled as Zoë already.");
    let other = enrol.replace("Zoe\u{308}", "Ada") + "|| document.getElementById('trouble').textContent";
    ask(tab, &other);
    assert!(shows(tab, "trouble").contains("is enrolled as Zoë already"), "{}", shows(tab, "trouble"));

    let folder = downloads.join("downloads");
    fs::create_dir(&folder).unwrap();
    call::<headless_chrome::protocol::cdp::Browser::SetDownloadBehavior>(
        tab,
        json!({ "behavior": "allow", "downloadPath": folder }),
    );
    ask(tab, "document.getElementById('save').click(); return null");
    let saved = {
        let start = Instant::now();
        loop {
            let mut done = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
            match done.find(|path| path.extension().is_some_and(|end| end == "gallery")) {
                Some(path) => break path.to_str().unwrap().to_owned(),
                None => assert!(start.elapsed() < Duration::from_secs(20), "nothing is saved"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let own = Gallery::load(Path::new(&saved)).unwrap();
    assert_eq!(own.identities().len(), 11);
    assert_eq!(own.counts("Zoë"), (1, 1));

    let picture = exported.path("four.png");
    GrayImage::from_raw(28, 28, four.to_vec()).unwrap().save(&picture).unwrap();
    let run = exported.path("run");
    let answers = succeed(&["recognize", "--adapter", "cpu", "--json", &run, &saved, &picture]);
    let answer = events(&answers).into_iter().find(|event| event["event"] == "answer").unwrap();
    assert_eq!(answer["identity"], "Zoë", "{answer}");
    assert!(answer["distance"].as_f64().unwrap() < 1e-4, "{answer}");
    // Of another probe the page says what the program does.
    let probe = exported.path("probe.png");
    GrayImage::from_fn(50, 70, |x, y| Luma([if x.abs_diff(25) < 4 && y > 10 && y < 60 { 255 } else { 0 }]))
        .save(&probe)
        .unwrap();
    let answers = succeed(&["recognize", "--adapter", "cpu", "--json", &run, &saved, &probe]);
    let answer = events(&answers).into_iter().find(|event| event["event"] == "answer").unwrap();
    put(tab, "load", &[&saved]);
    wait(tab, "the gallery is loaded", "return document.querySelectorAll('#identities li').length === 11");
    put(tab, "files", &[&probe]);
    wait(tab, "the file is shown", "return document.getElementById('seen').ariaLabel.startsWith('probe.png')");
    let name = answer["identity"].as_str().unwrap_or("unknown");
    settled(tab);
    assert_eq!(shows(tab, "answer"), name, "{answer}");
    let details = shows(tab, "details");
    let (_, distance) = details.split_once("at distance ").unwrap();
    let distance: f64 = distance.split(',').next().unwrap().parse().unwrap();
    // It shows three digits.
    let own = answer["distance"].as_f64().unwrap();
    assert!((distance - own).abs() <= 0.01 * own, "{details} of {answer}");

    // Of several each is a button.
    put(tab, "files", &[&probe, &picture]);
    wait(tab, "both are listed", "return document.querySelectorAll('#pictures button').length === 2");
    let second = "const [first, second] = document.querySelectorAll('#pictures button');
        second.click();
        return [first, second].map((button) => button.textContent)";
    settled(tab);
    assert_eq!(ask(tab, second), json!([name, "Zoë"]));
    settled(tab);
    assert_eq!(shows(tab, "answer"), "Zoë");
    ask(tab, "document.querySelector('#pictures button').click(); return null");
    settled(tab);

    // Nobody is this near.
    let strict = "const field = document.getElementById('threshold');
        field.value = '0.00001';
        field.dispatchEvent(new Event('change'));
        return document.getElementById('answer').textContent";
    assert_eq!(ask(tab, strict), "unknown");
    put(tab, "load", &[&probe]);
    wait(tab, "no gallery is refused", "return document.getElementById('trouble').textContent.includes('no gallery')");
}

/// Chooses files.
fn put(tab: &Tab, id: &str, paths: &[&str]) {
    tab.find_element(&format!("#{id}")).unwrap().set_input_files(paths).unwrap();
}

fn strokes_are_undone(tab: &Tab) {
    let (_, strokes) = digits().into_iter().find(|(digit, _)| *digit == "4").unwrap();
    draw(tab, &strokes.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let whole = seen(tab);
    let keys = "{ key: 'z', ctrlKey: true, bubbles: true }";
    ask(tab, &format!("document.body.dispatchEvent(new KeyboardEvent('keydown', {keys})); return null"));
    settled(tab);
    assert_ne!(seen(tab), whole);
    ask(tab, "document.getElementById('undo').click(); return null");
    settled(tab);
    assert_eq!(shows(tab, "answer"), "–");
    assert_eq!(ask(tab, "return document.getElementById('undo').disabled"), true);
}

fn the_camera_is_seen(tab: &Tab) {
    let before = seen(tab);
    ask(tab, "document.getElementById('camera').click(); return null");
    wait(tab, "it films", "return document.getElementById('seen').ariaLabel.startsWith('camera')");
    assert_ne!(seen(tab), before);
    ask(tab, "document.getElementById('camera').click(); return null");
    settled(tab);
    assert_eq!(ask(tab, "return document.getElementById('video').hidden"), true);
}

/// On a phone, and in the dark.
fn the_page_fits(tab: &Tab) {
    for width in [390, 1280] {
        resize(tab, width, 900);
        let wide =
            ask(tab, "await new Promise((done) => setTimeout(done, 200)); return document.documentElement.scrollWidth");
        assert!(wide.as_u64().unwrap() <= u64::from(width), "{wide} of {width} pixels");
    }
    let ground = "return getComputedStyle(document.body).backgroundColor";
    let mut grounds = ["light", "dark"].map(|scheme| {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        call::<Emulation::SetEmulatedMedia>(tab, features);
        ask(tab, ground)
    });
    assert_ne!(grounds[0], grounds[1], "light and dark");
    grounds[1] = ask(tab, &format!("document.getElementById('theme').click(); {ground}"));
    assert_eq!(grounds[0], grounds[1], "the button");
}

/// A browser that has none says so, and names the same; opened as a file the page says what to do.
fn without_webgpu(exported: &Exported, address: &str, named: &BTreeMap<&str, String>) {
    let profile = tempfile::tempdir().unwrap();
    let (_browser, tab) = tab(profile.path(), &[]);
    open(&tab, address);
    assert!(shows(&tab, "without").contains("no WebGPU"), "{}", shows(&tab, "without"));
    for (digit, strokes) in digits() {
        draw(&tab, &strokes.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert_eq!(shows(&tab, "answer"), named[digit]);
    }
    println!("without WebGPU: {}", shows(&tab, "facts"));
    assert_eq!(ask(&tab, "return faults"), json!([]), "script errors");
    if let Ok(file) = std::env::var("SIAMESE_SCREENSHOT_OF_PAGE") {
        let high = ask(&tab, "return document.documentElement.scrollHeight");
        resize(&tab, 1280, high.as_u64().unwrap() as u32);
        let png = tab.capture_screenshot(Page::CaptureScreenshotFormatOption::Png, None, None, true).unwrap();
        fs::write(file, png).unwrap();
    }
    tab.navigate_to(&format!("file://{}", exported.path("page/index.html"))).unwrap();
    let told = "const note = document.getElementById('unstarted');
        return Boolean(note) && getComputedStyle(note).visibility === 'visible'";
    wait(&tab, "a file says what to do", told);
}
