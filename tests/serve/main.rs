//! The service as those who ask it see it: what it answers, what it refuses, and what outlives it.

mod client;
#[path = "../fuzz/mutate.rs"]
#[allow(dead_code, reason = "the fuzz tests use the rest")]
mod mutate;
#[path = "../common/program.rs"]
mod program;
mod storm;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use client::{BOUNDARY, Reply, Service, TOKEN, form, model, picture};
use image::ImageFormat;
use serde_json::{Value, json};

/// A folder, and the path of a gallery in it that is not there.
fn place() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let gallery = folder.path().join("some.gallery").to_str().unwrap().to_owned();
    (folder, gallery)
}

/// A service on a gallery of one picture for each quadrant.
fn enrolled(gallery: &str, more: &[&str]) -> Service {
    let service = Service::start(gallery, more);
    for quadrant in 0..4 {
        let reply = service.send("PUT", &format!("/v1/identities/q{quadrant}"), &picture(quadrant, quadrant));
        assert_eq!(reply.status, 201, "{reply:?}");
    }
    service
}

#[test]
fn what_is_enrolled_is_recognised_as_the_program_does() {
    let (folder, gallery) = place();
    let service = enrolled(&gallery, &[]);
    let files: Vec<_> = (0..12).map(|number| (format!("{number}.png"), picture(number % 4, 100 + number))).collect();
    let names: Vec<String> = files.iter().map(|(name, _)| folder.path().join(name).display().to_string()).collect();
    for (name, (_, bytes)) in names.iter().zip(&files) {
        fs::write(name, bytes).unwrap();
    }
    for nearest in ["1", "3"] {
        let base = ["recognize", model(), &gallery, "--json", "--adapter", "cpu", "--nearest", nearest];
        let arguments: Vec<&str> = base.into_iter().chain(names.iter().map(String::as_str)).collect();
        let theirs = program::events(&program::succeed(&arguments));
        let pictures: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
        let reply = service.send_all("POST", &format!("/v1/recognize?nearest={nearest}"), &pictures);
        assert_eq!(reply.status, 200, "{reply:?}");
        let ours = reply.json();
        for (place, ((name, bytes), theirs)) in files.iter().zip(&theirs).enumerate() {
            assert_eq!(ours["pictures"][place]["name"], **name);
            let alone = service.send("POST", &format!("/v1/recognize?nearest={nearest}"), bytes).json();
            for answer in [&ours["pictures"][place]["answer"], &alone["pictures"][0]["answer"]] {
                assert_eq!(answer["identity"], theirs["identity"]);
                assert_eq!(answer["nearest"], theirs["nearest"]);
                assert_eq!(answer["identity"], format!("q{}", place % 4));
                for figure in ["distance", "margin"] {
                    let [own, other] = [answer, theirs].map(|answer| answer[figure].as_f64().unwrap());
                    assert!((own - other).abs() < 1e-5, "{figure} of {name}: {own}, {other}");
                }
            }
        }
    }
    service.end();
}

#[test]
fn embeddings_and_distances_agree() {
    let (_folder, gallery) = place();
    let service = Service::start(&gallery, &[]);
    let pictures: Vec<_> = (0..3).map(|number| ("a.png", picture(number, number))).collect();
    let embedded = service.send_all("POST", "/v1/embed", &pictures).json();
    let rows: Vec<Vec<f64>> =
        (0..3).map(|place| serde_json::from_value(embedded["pictures"][place]["embedding"].clone()).unwrap()).collect();
    assert!(rows.iter().all(|row| row.len() == 8));
    let compared = service.send_all("POST", "/v1/compare", &pictures).json();
    assert_eq!(compared["pictures"], json!(["a.png", "a.png", "a.png"]));
    for (a, first) in rows.iter().enumerate() {
        for (b, second) in rows.iter().enumerate() {
            let expected: f64 = first.iter().zip(second).map(|(a, b)| (a - b).powi(2)).sum();
            let distance = compared["distances"][a][b].as_f64().unwrap();
            assert!((distance - expected).abs() < 1e-5, "{a} {b}: {distance}, {expected}");
        }
    }
    let alone = service.send("POST", "/v1/embed", &pictures[1].1).json();
    let own: Vec<f64> = serde_json::from_value(alone["pictures"][0]["embedding"].clone()).unwrap();
    assert!(own.iter().zip(&rows[1]).all(|(a, b)| (a - b).abs() < 1e-5), "alone as among others");
    assert_eq!(alone["model"], service.get("/healthz").json()["model"]);
    service.end();
}

#[test]
fn identities_come_and_go_and_stay_on_the_disk() {
    let (_folder, gallery) = place();
    let service = Service::start(&gallery, &[]);
    assert!(service.send("POST", "/v1/recognize", &picture(0, 0)).refusal(409).contains("nobody"));
    let pictures = [("1.png", picture(0, 1)), ("2.png", picture(0, 2)), ("again.png", picture(0, 1))];
    let reply = service.send_all("PUT", "/v1/identities/Zo%C3%AB", &pictures);
    assert_eq!((reply.status, reply.json()), (201, json!({ "identity": "Zoë", "enrolled": 2, "known": 1 })));
    // With an accent of its own it is the same name.
    let reply = service.send("PUT", "/v1/identities/Zoe%CC%88", &picture(0, 1));
    assert_eq!((reply.status, reply.json()), (200, json!({ "identity": "Zoë", "enrolled": 0, "known": 1 })));
    let words = service.send_all("PUT", "/v1/identities/other", &[("new", picture(1, 9)), ("old", picture(0, 2))]);
    assert!(words.refusal(409).contains("Zoë"));
    assert_eq!(service.images(), [("Zoë".to_owned(), 2)], "of several pictures all are enrolled, or none");
    assert_eq!(service.send("PUT", "/v1/identities/other", &picture(1, 9)).status, 201);
    // What has been answered outlives what answered it.
    service.kill();
    let service = Service::start(&gallery, &[]);
    assert_eq!(service.images(), [("Zoë".to_owned(), 2), ("other".to_owned(), 1)]);
    let token = format!("Bearer {TOKEN}");
    let remove = |name: &str| service.ask("DELETE", name, &[("Authorization", &token)], &[]);
    assert_eq!(remove("/v1/identities/Zo%C3%AB").status, 204);
    assert!(remove("/v1/identities/Zo%C3%AB").refusal(404).contains("Zoë"));
    service.end();
    let service = Service::start(&gallery, &[]);
    assert_eq!(service.images(), [("other".to_owned(), 1)]);
    service.end();
}

#[test]
fn only_the_token_changes_the_gallery() {
    let (folder, gallery) = place();
    let put = |service: &Service, header: &[(&str, &str)]| {
        let headers = [&[("Content-Type", "image/png")], header].concat();
        service.ask("PUT", "/v1/identities/anna", &headers, &picture(0, 0))
    };
    let service = Service::of(&mut Service::command(&gallery, &[]));
    let token = format!("Bearer {TOKEN}");
    assert!(put(&service, &[("Authorization", &token)]).refusal(403).contains("read-only"));
    assert!(service.ask("DELETE", "/v1/identities/anna", &[], &[]).refusal(403).contains("read-only"));
    assert_eq!(service.get("/v1/identities").status, 200);
    service.end();
    assert!(!Path::new(&gallery).exists());

    let file = folder.path().join("token");
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let service = Service::of(&mut Service::command(&gallery, &["--token-file", file.to_str().unwrap()]));
    let near = format!("Bearer {}", &TOKEN[..TOKEN.len() - 1]);
    for wrong in [&[][..], &[("Authorization", near.as_str())], &[("Authorization", TOKEN)], &[("Authorization", "")]] {
        let reply = put(&service, wrong);
        reply.refusal(401);
        assert!(reply.head.contains("www-authenticate: bearer"), "{reply:?}");
    }
    assert_eq!(put(&service, &[("authorization", &token.replace("Bearer", "bearer"))]).status, 201);
    service.end();

    for (text, word) in [("short", "16 characters"), ("of sixteen or more, with spaces", "letters")] {
        fs::write(&file, text).unwrap();
        let base = ["serve", model(), "--gallery", &gallery, "--listen", "127.0.0.1:0"];
        let words = program::fail(&[&base[..], &["--token-file", file.to_str().unwrap()]].concat());
        assert!(words.contains(word), "{words}");
    }
}

#[test]
fn what_cannot_be_done_is_refused_in_one_shape() {
    let (_folder, gallery) = place();
    let service = enrolled(&gallery, &["--max-body", "20000", "--max-pixels", "100", "--max-pictures", "3"]);
    let good = picture(0, 5);
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let asked = |kind: &str, body: &[u8]| service.ask("POST", "/v1/recognize", &[("Content-Type", kind)], body);
    assert!(asked("image/png", b"no picture").refusal(422).contains("picture 1"));
    assert!(asked("image/png", b"").refusal(422).contains("picture 1"));
    assert!(asked("application/x-www-form-urlencoded", &good).refusal(415).contains("urlencoded"));
    assert!(service.ask("POST", "/v1/recognize", &[], &good).refusal(415).contains("Content-Type"));
    assert!(asked("multipart/form-data", &good).refusal(400).contains("form"));
    assert!(asked(&kind, &form(&[])).refusal(400).contains("no picture"));
    assert!(asked(&kind, b"garbage").refusal(400).contains("broken"));
    let other = String::from_utf8_lossy(&form(&[("a", Vec::new())])).replace("\"picture\"", "\"file\"");
    assert!(asked(&kind, other.as_bytes()).refusal(400).contains("`file`"));
    let many: Vec<_> = (0..4).map(|number| ("a", picture(0, number))).collect();
    assert!(asked(&kind, &form(&many)).refusal(413).contains("3 pictures"));
    assert!(asked("image/png", &vec![0; 20_001]).refusal(413).contains("20000"));
    let chunked = [("Content-Type", "image/png"), ("Transfer-Encoding", "chunked")];
    let chunks = [b"5000\r\n", &vec![0; 0x5000][..], b"\r\n0\r\n\r\n"].concat();
    assert!(service.ask("POST", "/v1/embed", &chunked, &chunks).refusal(413).contains("20000"));
    let mut large = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(11, 10).write_to(&mut large, ImageFormat::Png).unwrap();
    assert!(asked("image/png", large.get_ref()).refusal(422).contains("100 pixels"));
    for nearest in ["0", "1001", "-1", "x", "1&nearest=2", ""] {
        service.send("POST", &format!("/v1/recognize?nearest={nearest}"), &good).refusal(400);
    }
    service.send("POST", "/v1/compare", &good).refusal(400);
    service.send("PUT", "/v1/identities/%FF", &good).refusal(400);
    service.send("PUT", "/v1/identities/a%0Ab", &good).refusal(400);
    service.send("PUT", &format!("/v1/identities/{}", "a".repeat(201)), &good).refusal(400);
    service.get("/v1/nothing").refusal(404);
    let wrong = service.get("/v1/recognize");
    wrong.refusal(405);
    assert!(wrong.head.contains("allow: post"), "{wrong:?}");

    // A picture that cannot be used keeps no other from its answer; of those to be enrolled it keeps all.
    let mixed = [("good", good.clone()), ("bad", b"no picture".to_vec())];
    for path in ["/v1/recognize", "/v1/embed"] {
        let pictures = service.send_all("POST", path, &mixed).json()["pictures"].clone();
        assert!(pictures[0].get("error").is_none() && pictures[0].as_object().unwrap().len() == 2, "{pictures}");
        assert!(pictures[1]["error"]["error"].as_str().unwrap().starts_with("bad: "), "{pictures}");
    }
    assert!(service.send_all("POST", "/v1/compare", &mixed).refusal(422).starts_with("bad: "));
    assert!(service.send_all("PUT", "/v1/identities/new", &mixed).refusal(422).starts_with("bad: "));
    assert_eq!(service.images().len(), 4);
    service.end();
}

#[test]
fn too_many_and_too_slow_requests_are_sent_away() {
    let (_folder, gallery) = place();
    let service = enrolled(&gallery, &["--max-requests", "1", "--timeout", "6"]);
    let good = picture(0, 5);
    let head = format!(
        "POST /v1/recognize HTTP/1.1\r\nHost: here\r\nContent-Type: image/png\r\nContent-Length: {}\r\n\r\n",
        good.len()
    );
    // One whose body comes slowly: the service is full until its time is up.
    let mut slow = service.connect().unwrap();
    slow.write_all(head.as_bytes()).unwrap();
    slow.write_all(&good[..10]).unwrap();
    let begin = Instant::now();
    let full = loop {
        let reply = service.send("POST", "/v1/recognize", &good);
        if reply.status != 200 {
            break reply;
        }
        assert!(begin.elapsed() < Duration::from_secs(2), "the slow one takes no place");
    };
    full.refusal(503);
    assert!(full.head.contains("retry-after: "), "{full:?}");
    assert_eq!(service.get("/healthz").status, 200, "who watches it is not sent away");
    Reply::read(&mut slow).unwrap().refusal(408);
    assert!((1..5).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    assert_eq!(service.send("POST", "/v1/recognize", &good).status, 200);
    // One whose head comes slowly, and one that says nothing.
    let (mut dripping, mut silent) = (service.connect().unwrap(), service.connect().unwrap());
    let begin = Instant::now();
    for byte in head.bytes() {
        if dripping.write_all(&[byte]).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_ne!(Reply::read(&mut silent).unwrap().status, 200);
    service.end();
}

#[test]
fn what_is_under_way_at_the_end_is_answered() {
    let (_folder, gallery) = place();
    let service = Service::start(&gallery, &[]);
    let good = picture(0, 5);
    let head = format!(
        "PUT /v1/identities/late HTTP/1.1\r\nHost: here\r\nContent-Type: image/png\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Length: {}\r\n\r\n",
        good.len()
    );
    let (mut late, _idle) = (service.connect().unwrap(), service.connect().unwrap());
    late.write_all(head.as_bytes()).unwrap();
    late.write_all(&good[..10]).unwrap();
    thread::sleep(Duration::from_millis(200));
    service.terminate();
    let begin = Instant::now();
    while service.connect().is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(5), "it still listens");
        thread::sleep(Duration::from_millis(10));
    }
    late.write_all(&good[10..]).unwrap();
    assert_eq!(Reply::read(&mut late).unwrap().status, 201);
    let (status, words) = service.wait();
    assert_eq!(status.code(), Some(0), "{words}");
    let service = Service::start(&gallery, &[]);
    assert_eq!(service.images(), [("late".to_owned(), 1)]);
    service.end();
}

#[test]
fn enrolments_that_come_together_are_saved_together() {
    const ASKING: usize = 32;
    let (_folder, gallery) = place();
    let service = Service::start(&gallery, &[]);
    let together = Barrier::new(ASKING);
    thread::scope(|scope| {
        for number in 0..ASKING as u32 {
            let (service, together) = (&service, &together);
            scope.spawn(move || {
                together.wait();
                let reply = service.send("PUT", &format!("/v1/identities/{}", number / 2), &picture(0, number));
                assert!([200, 201].contains(&reply.status), "{reply:?}");
            });
        }
    });
    assert!(service.images().iter().all(|(_, images)| *images == 2));
    let metrics = program::text(&service.get("/metrics").body);
    let count = |name: &str| -> usize {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{metrics}"));
        line.trim().parse().unwrap()
    };
    assert_eq!(count("siamese_gallery_changes_total "), ASKING);
    assert!(count("siamese_gallery_saves_total ") < ASKING, "{metrics}");
    assert_eq!(count("siamese_gallery_identities "), ASKING / 2);
    assert_eq!(count("siamese_pictures_embedded_total "), ASKING);
    service.end();
}

#[test]
fn changes_of_other_programs_are_seen() {
    let (folder, gallery) = place();
    let service = enrolled(&gallery, &[]);
    let file = folder.path().join("another.png");
    fs::write(&file, picture(3, 77)).unwrap();
    let file = file.to_str().unwrap();
    program::succeed(&["enroll", model(), &gallery, file, "--identity", "another", "--adapter", "cpu"]);
    let begin = Instant::now();
    while service.images().len() < 5 {
        assert!(begin.elapsed() < Duration::from_secs(10), "the other one's change is not seen");
        thread::sleep(Duration::from_millis(50));
    }
    // And is kept where the service changes it.
    assert_eq!(service.send("PUT", "/v1/identities/fifth", &picture(1, 78)).status, 201);
    assert_eq!(service.images().len(), 6);
    // One that cannot be read changes no answer.
    fs::write(&gallery, b"no gallery").unwrap();
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(service.images().len(), 6);
    service.send("PUT", "/v1/identities/sixth", &picture(1, 79)).refusal(503);
    assert!(service.end().contains("cannot be read"));
}

#[test]
fn a_calibrated_threshold_stays_where_somebody_is_enrolled() {
    let (_folder, gallery) = place();
    enrolled(&gallery, &[]).end();
    let data = Path::new(model()).with_file_name("data");
    let base = ["enroll", model(), &gallery, "--adapter", "cpu", "--far", "0.2", "--calibrate", "test", "--data"];
    program::succeed(&[base.as_slice(), &[data.to_str().unwrap()]].concat());
    let service = Service::start(&gallery, &[]);
    let before = service.get("/v1/identities").json()["threshold"].clone();
    assert_eq!(before["far"], 0.2);
    assert_eq!(service.send("PUT", "/v1/identities/new", &picture(0, 9)).status, 201);
    let after = service.get("/v1/identities").json()["threshold"].clone();
    assert_eq!(after, json!({ "distance": before["distance"], "far": null }));
    assert!(service.end().contains("kept as one given"));
}

#[test]
fn a_gallery_of_another_model_is_refused_at_the_start() {
    let (folder, gallery) = place();
    enrolled(&gallery, &[]).end();
    let data = Path::new(model()).with_file_name("data");
    let other = folder.path().join("other").to_str().unwrap().to_owned();
    let train = ["train", "--spec", program::SPEC, "--data", data.to_str().unwrap(), "--steps", "1", "--batch", "2x2"];
    program::succeed(&[train.as_slice(), &["--adapter", "cpu", "--out", &other]].concat());
    let words = program::fail(&["serve", &other, "--gallery", &gallery, "--listen", "127.0.0.1:0", "--adapter", "cpu"]);
    assert!(words.contains("embeddings of the model"), "{words}");
    let words = program::fail(&["serve", model(), "--gallery", &gallery, "--listen", "nowhere"]);
    assert!(words.contains("--listen"), "{words}");
}

#[test]
fn the_service_describes_itself_and_has_the_page() {
    let (_folder, gallery) = place();
    let service = enrolled(&gallery, &[]);
    let described = service.get("/openapi.json").json();
    let paths: Vec<&String> = described["paths"].as_object().unwrap().keys().collect();
    let expected = ["/v1/recognize", "/v1/embed", "/v1/compare", "/v1/identities/{name}", "/v1/identities"];
    assert!(expected.iter().all(|path| paths.iter().any(|found| found == path)), "{paths:?}");
    let put = &described["paths"]["/v1/identities/{name}"]["put"];
    assert_eq!(put["security"], json!([{ "bearer": [] }]));
    for status in ["200", "201", "400", "401", "403", "408", "409", "413", "415", "422", "503"] {
        assert!(put["responses"].get(status).is_some(), "{status}: {put}");
    }
    let health = service.get("/healthz");
    assert_eq!(health.json()["status"], "ok");
    assert!(health.head.contains("x-content-type-options: nosniff"), "{health:?}");

    let page = service.get("/");
    assert!(page.status == 200 && page.head.contains("content-type: text/html"), "{page:?}");
    let plan = service.get("/plan.json");
    assert!(plan.head.contains("content-security-policy: default-src 'none'"), "{plan:?}");
    assert_eq!(plan.json()["model"], health.json()["model"]);
    assert_eq!(plan.json()["gallery"], Value::from("enrolled.gallery"));
    let tag = plan.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    assert_eq!(service.ask("GET", "/plan.json", &[("If-None-Match", tag)], &[]).status, 304);
    assert!(service.get("/runner.js").head.contains("content-type: text/javascript"));
    // The gallery as it is now, and none of the paths that pictures had.
    assert_eq!(service.send_all("PUT", "/v1/identities/new", &[("a/b.png", picture(1, 9))]).status, 201);
    let (_own, copy) = place();
    fs::write(&copy, service.get("/enrolled.gallery").body).unwrap();
    let gallery = siamese::gallery::Gallery::load(Path::new(&copy)).unwrap();
    assert_eq!(gallery.identities(), ["q0", "q1", "q2", "q3", "new"]);
    service.ask("POST", "/plan.json", &[], &[]).refusal(405);
    service.get("/../Cargo.toml").refusal(404);
    service.end();
}
