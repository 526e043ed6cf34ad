//! Galleries in PostgreSQL, on a real server: they are what they are in a file, whoever writes at once and whatever
//! breaks. `scripts/postgres.sh` gets the server.

#[path = "../common/program.rs"]
mod program;
mod server;

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use image::{GrayImage, Luma};
use libtest_mimic::{Arguments, Trial};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use siamese::Error;
use siamese::checkpoint::{Checkpoint, Precision};
use siamese::config::PRESETS;
use siamese::gallery::{self, Content, Gallery, Index, Place, Threshold};
use siamese::net::Net;

use program::{fail, run, siamese, succeed, text};
use server::Server;

type Test = fn(&Server);

fn main() {
    let arguments = Arguments::from_args();
    let tests: &[(&str, Test)] = &[
        ("a_gallery_is_what_it_is_in_a_file", a_gallery_is_what_it_is_in_a_file),
        ("copies_are_equal_to_the_bit", copies_are_equal_to_the_bit),
        ("eight_writers_lose_and_double_nothing", eight_writers_lose_and_double_nothing),
        ("tables_are_made_once_by_many", tables_are_made_once_by_many),
        ("a_lost_connection_changes_nothing", a_lost_connection_changes_nothing),
        ("another_model_is_refused", another_model_is_refused),
        ("a_stamp_tells_of_a_change", a_stamp_tells_of_a_change),
        ("tables_of_a_newer_program_are_refused", tables_of_a_newer_program_are_refused),
        ("commands_take_a_url", commands_take_a_url),
        ("passwords_are_not_told", passwords_are_not_told),
        ("an_index_answers_nearly_as_exact_search", an_index_answers_nearly_as_exact_search),
    ];
    // Listing starts no server.
    let server = (!arguments.list).then(|| Arc::new(Server::start()));
    let trial = |(name, test): &(&str, Test)| {
        let (server, test) = (server.clone(), *test);
        Trial::test(*name, move || {
            test(&server.expect("it was started"));
            Ok(())
        })
    };
    let mut trials: Vec<_> = tests.iter().map(trial).collect();
    trials.push(trial(&("a_measurement", a_measurement as Test)).with_ignored_flag(true));
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(server);
    conclusion.exit()
}

/// A model of embeddings of so many values.
fn model(dims: usize, seed: u64) -> Checkpoint {
    let mut config = PRESETS[0].config();
    (config.spec, config.seed) = (format!("dense{dims}"), seed);
    let net = Net::parse(&config.spec, [2, 2, 1]).unwrap();
    Checkpoint::initial(&config, &net).export()
}

fn place(url: &str) -> Box<dyn Place> {
    gallery::place(OsStr::new(url), None).unwrap()
}

/// Changes the gallery of a place.
fn change(place: &dyn Place, model: &Checkpoint, by: impl FnOnce(&mut Gallery)) -> siamese::Result<()> {
    let mut change = place.change(model)?;
    let mut gallery = change.gallery()?;
    by(&mut gallery);
    change.save(&gallery)
}

/// Enrols a picture of its own content; answers whether it was new.
fn add(gallery: &mut Gallery, identity: &str, name: &str, embedding: &[f32]) -> bool {
    gallery.add(identity, name, &Content::of(name.as_bytes()), embedding).unwrap()
}

/// Points whose bits are of all kinds.
fn points(count: usize, dims: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| (0..dims).map(|_| rng.random_range(-1.0_f32..1.0).powi(5)).collect()).collect()
}

/// The same changes of a file and of a database, and after each the same gallery and the same answers.
fn a_gallery_is_what_it_is_in_a_file(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let (file, url) = (folder.path().join("a.gallery"), server.url("same"));
    let (file, database) = (place(file.to_str().unwrap()), place(&url));
    let model = model(7, 0);
    let probes = points(40, 7, 1).concat();
    let changes: [fn(&mut Gallery); 10] = [
        |_| (),
        |gallery| {
            for (row, point) in points(60, 7, 2).iter().enumerate() {
                assert!(add(gallery, &format!("person {}", row % 9), &format!("{row}.png"), point));
            }
        },
        |gallery| gallery.threshold = Some(Threshold::given(0.3).unwrap()),
        |gallery| assert!(!add(gallery, "person 1", "1.png", &[0.0; 7]), "a picture is enrolled once"),
        |gallery| gallery.remove("person 3").unwrap(),
        // One who goes and comes back is the last.
        |gallery| {
            gallery.remove("person 5").unwrap();
            assert!(add(gallery, "person 5", "5.png", &[f32::MIN_POSITIVE, -0.0, 1e-40, 1.0, 0.1, 0.2, 0.3]));
            assert!(add(gallery, "Jos\u{e9}'s \"cat\"\\\n", "a\tb", &[0.5; 7]));
            gallery.remove("person 0").unwrap();
        },
        |gallery| {
            gallery.calibrate(&points(100, 7, 3).concat(), &vec!["x".to_owned(); 100], 0.1).map(drop).unwrap();
        },
        |gallery| {
            gallery.to_centroids();
            assert!(add(gallery, "person 1", "late.png", &[0.25; 7]));
        },
        |gallery| {
            gallery.to_centroids();
            gallery.remove("person 1").unwrap();
        },
        |gallery| {
            let all = gallery.identities().to_vec();
            all.iter().for_each(|name| gallery.remove(name).unwrap());
        },
    ];
    for (number, by) in changes.into_iter().enumerate() {
        change(&*file, &model, by).unwrap();
        change(&*database, &model, by).unwrap();
        let (one, other) = (file.load().unwrap(), database.load().unwrap());
        assert_eq!(one, other, "after change {number}");
        let counts =
            |gallery: &Gallery| gallery.identities().iter().map(|name| gallery.counts(name)).collect::<Vec<_>>();
        assert_eq!((counts(&one), one.images()), (counts(&other), other.images()));
        for k in [1, 5] {
            if !one.identities().is_empty() {
                assert_eq!(one.recognise_all(&probes, k), other.recognise_all(&probes, k), "after change {number}");
            }
        }
    }
    let left: i64 = server
        .client()
        .unwrap()
        .query_one(
            "select count(*) from siamese.sources where gallery =
        (select gallery from siamese.galleries where name = 'same')",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(left, 0, "whoever is taken out leaves no picture");
}

fn copies_are_equal_to_the_bit(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (first, second, url) = (at("a.gallery"), at("b.gallery"), server.url("copied"));
    change(&*place(&first), &model(5, 0), |gallery| {
        for (row, point) in points(50, 5, 4).iter().enumerate() {
            assert!(add(gallery, &format!("{}", row * row % 13), &format!("pictures/{row}"), point));
        }
        gallery.remove("1").unwrap();
        gallery.threshold = Some(Threshold { distance: 0.1, far: Some(1.0 / 3.0) });
    })
    .unwrap();
    succeed(&["gallery", "copy", &first, &url]);
    succeed(&["gallery", "copy", &url, &second]);
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap());
    for (from, to) in [(&first, &url), (&url, &second)] {
        let words = fail(&["gallery", "copy", from, to]);
        assert!(words.contains("is there already"), "{words}");
    }
    let words = fail(&["gallery", "copy", &server.url("nobody"), &at("c.gallery")]);
    assert!(words.contains("gallery=nobody") && words.contains("no such gallery"), "{words}");
    assert!(!Path::new(&at("c.gallery")).exists());
}

/// Each enrols pictures of its own and pictures that all have, of identities of its own and of all.
fn eight_writers_lose_and_double_nothing(server: &Server) {
    const WRITERS: usize = 8;
    let (url, model) = (server.url("crowded"), model(3, 0));
    let begin = Barrier::new(WRITERS);
    let new: Vec<usize> = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (url, model, begin) = (&url, &model, &begin);
                scope.spawn(move || {
                    let place = place(url);
                    begin.wait();
                    let mut new = 0;
                    for round in 0..5 {
                        change(&*place, model, |gallery| {
                            for picture in 0..10 {
                                let (own, all) = (format!("{writer} {round} {picture}"), format!("{round} {picture}"));
                                new += usize::from(add(gallery, &format!("of {writer}"), &own, &[writer as f32; 3]));
                                new += usize::from(add(gallery, &format!("of {round}"), &all, &[0.5; 3]));
                            }
                        })
                        .unwrap();
                    }
                    new
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let gallery = place(&url).load().unwrap();
    assert_eq!(gallery.images(), (WRITERS * 50 + 50) as u64);
    assert_eq!(new.iter().sum::<usize>(), WRITERS * 50 + 50, "each picture is new to one of them: {new:?}");
    assert_eq!(gallery.identities().len(), WRITERS);
    for writer in 0..WRITERS {
        assert_eq!(gallery.counts(&format!("of {writer}")).0, if writer < 5 { 60 } else { 50 });
    }
}

fn tables_are_made_once_by_many(server: &Server) {
    server.client().unwrap().batch_execute("create database fresh").unwrap();
    let url = server.url("first").replace("/postgres?", "/fresh?");
    thread::scope(|scope| {
        let makers: Vec<_> = (0..6)
            .map(|maker: u8| {
                let url = &url;
                scope.spawn(move || {
                    change(&*place(url), &model(3, 0), |gallery| {
                        add(gallery, "A", &maker.to_string(), &[f32::from(maker); 3]);
                    })
                })
            })
            .collect();
        makers.into_iter().for_each(|maker| maker.join().unwrap().unwrap());
    });
    assert_eq!(place(&url).load().unwrap().images(), 6);
}

fn a_lost_connection_changes_nothing(server: &Server) {
    let (url, model) = (server.url("lost") + "&application_name=lost", model(3, 0));
    let place = place(&url);
    let lose = || {
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'lost'";
        let mut client = server.client().unwrap();
        let mut left = || client.query_one(end, &[]).unwrap().get::<_, i64>(0);
        assert!(left() > 0, "there is a connection");
        while left() > 0 {}
    };
    // Of a gallery that is new, nothing is left.
    let error = change(&*place, &model, |gallery| {
        add(gallery, "A", "a", &[1.0; 3]);
        lose();
    });
    let words = error.unwrap_err().to_string();
    assert!(words.contains("gallery=lost") && words.contains("is as it was before"), "{words}");
    assert!(matches!(place.load().unwrap_err(), Error::Gallery { .. }));

    change(&*place, &model, |gallery| assert!(add(gallery, "A", "a", &[1.0; 3]))).unwrap();
    let before = place.load().unwrap();
    change(&*place, &model, |gallery| {
        gallery.remove("A").unwrap();
        assert!(add(gallery, "B", "b", &[2.0; 3]));
        lose();
    })
    .unwrap_err();
    assert_eq!(place.load().unwrap(), before);
    // Nor does whoever ends in the middle of a change keep others from it.
    let mut begun = place.change(&model).unwrap();
    begun.gallery().unwrap();
    drop(begun);
    change(&*place, &model, |gallery| assert!(add(gallery, "B", "b", &[2.0; 3]))).unwrap();
    assert_eq!(place.load().unwrap().images(), 2);
}

fn another_model_is_refused(server: &Server) {
    let place = place(&server.url("of-one-model"));
    change(&*place, &model(3, 0), |gallery| assert!(add(gallery, "A", "a", &[1.0; 3]))).unwrap();
    let words = place.change(&model(3, 1)).err().unwrap().to_string();
    assert!(words.contains("gallery=of-one-model") && words.contains("mean nothing"), "{words}");
}

/// By which a service sees what other programs change.
fn a_stamp_tells_of_a_change(server: &Server) {
    let [own, other] = ["stamped", "stamped-too"].map(|name| place(&server.url(name)));
    let model = model(3, 0);
    assert!(own.open(&model).unwrap().is_empty(), "what is not there is an empty gallery");
    let mut stamps = vec![own.stamp().unwrap()];
    for name in ["a", "b"] {
        change(&*own, &model, |gallery| assert!(add(gallery, "A", name, &[1.0; 3]))).unwrap();
        stamps.push(own.stamp().unwrap());
        change(&*other, &model, |gallery| assert!(add(gallery, "A", name, &[1.0; 3]))).unwrap();
        assert_eq!(stamps.last(), Some(&own.stamp().unwrap()), "nobody has changed it");
    }
    change(&*own, &model, |gallery| gallery.remove("A").unwrap()).unwrap();
    stamps.push(own.stamp().unwrap());
    stamps.sort();
    stamps.dedup();
    assert_eq!(stamps.len(), 4);
}

fn tables_of_a_newer_program_are_refused(server: &Server) {
    server.client().unwrap().batch_execute("create database newer").unwrap();
    let url = server.url("a").replace("/postgres?", "/newer?");
    change(&*place(&url), &model(3, 0), |_| ()).unwrap();
    let folder = url.split(['=', '&']).nth(1).unwrap();
    let mut client =
        postgres::Config::new().user("postgres").dbname("newer").host(folder).connect(postgres::NoTls).unwrap();
    client.batch_execute("insert into siamese.migrations values (1000)").unwrap();
    let words = place(&url).load().unwrap_err().to_string();
    assert!(words.contains("version 1000"), "{words}");
}

/// A model of 8×8 pictures, and a folder of three classes of them.
fn pictures(folder: &Path) -> (String, String) {
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let mut config = PRESETS[0].config();
    config.spec = program::SPEC.to_owned();
    let net = Net::parse(&config.spec, [8, 8, 1]).unwrap();
    Checkpoint::initial(&config, &net).export().save(&folder.join("model.safetensors"), Precision::F32).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for class in ["ann", "ben", "cai"] {
        fs::create_dir_all(folder.join("set").join(class)).unwrap();
        for number in 0..6 {
            let picture = GrayImage::from_fn(8, 8, |_, _| Luma([rng.random_range(0..=255)]));
            picture.save(folder.join(format!("set/{class}/{number}.png"))).unwrap();
        }
    }
    (at("model.safetensors"), at("set"))
}

/// What the program says and prints with a gallery in a database is what it does with a file, but for its name.
fn commands_take_a_url(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let (model, set) = pictures(folder.path());
    let (file, url) = (folder.path().join("a.gallery"), server.url("commands"));
    let file = file.to_str().unwrap();
    let spoken = |output: &Output| {
        let words = text(&output.stderr).replace(file, "G").replace(&place(&url).to_string(), "G");
        let is_timing = |line: &&str| line.contains(" s, ") || line.contains("ready after");
        words.lines().filter(|line| !is_timing(line)).collect::<Vec<_>>().join("\n")
    };
    let commands: &[(&str, &[&str])] = &[
        ("recognize", &["SET"]),
        ("enroll", &["SET", "--take", "first", "--per-class", "3", "--classes", "ann,ben"]),
        ("recognize", &["SET"]),
        ("enroll", &["--far", "0.2", "--calibrate", "SET"]),
        ("recognize", &["SET", "--json", "--nearest", "3"]),
        ("enroll", &["SET/cai/0.png", "--identity", "ben"]),
        ("enroll", &["SET/cai/0.png", "--identity", "ann"]),
        ("enroll", &["--remove", "ann", "--centroid"]),
        ("enroll", &["--remove", "nobody"]),
        ("enroll", &["--threshold", "0.5"]),
        ("enroll", &["--index", "none"]),
        ("recognize", &["SET"]),
    ];
    for (command, arguments) in commands {
        let arguments: Vec<String> = arguments.iter().map(|argument| argument.replace("SET", &set)).collect();
        let on =
            |gallery: &str| siamese(&[command, &model, gallery, "--adapter", "cpu"]).args(&arguments).output().unwrap();
        let (one, other) = (on(file), on(&url));
        assert_eq!(one.status.code(), other.status.code(), "{command} {arguments:?}: {}", text(&other.stderr));
        assert_eq!(text(&one.stdout), text(&other.stdout), "{command} {arguments:?}");
        if one.status.success() {
            assert_eq!(spoken(&one), spoken(&other), "{command} {arguments:?}");
        }
    }
    assert_eq!(place(&url).load().unwrap(), Gallery::load(Path::new(file)).unwrap());
}

/// Neither where the server cannot be reached, nor where it refuses, nor where the URL cannot be understood.
fn passwords_are_not_told(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let (model, set) = pictures(folder.path());
    let socket = folder.path().display().to_string();
    let reached = server.url("secret");
    let urls = [
        format!("postgres://ann:geheim@/db?host={socket}&gallery=a"),
        "postgres://ann:geheim@127.0.0.1:1/db?gallery=a".to_owned(),
        "postgres://ann@127.0.0.1:1/db?password=geheim&gallery=a".to_owned(),
        "postgres://ann:ge?heim@127.0.0.1:1/db?gallery=a".to_owned(),
        "postgres://ann:geheim@127.0.0.1:port/db?gallery=a".to_owned(),
        "postgres://ann:geheim@127.0.0.1:1/db".to_owned(),
        reached.replace("postgres@/postgres", "nobody:geheim@/postgres"),
        reached.replace("postgres@/postgres", "postgres:geheim@/nothing"),
    ];
    for url in &urls {
        for arguments in [
            ["enroll", &model, url, &set].as_slice(),
            &["recognize", &model, url, &set],
            &["gallery", "copy", url, "a.gallery"],
            // As a picture, by mistake.
            &["compare", &model, url, url],
        ] {
            let output = siamese(arguments).env("PGPASSWORD", "geheim").output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
            let words = text(&output.stderr) + &text(&output.stdout);
            assert!(!words.contains("heim") && words.contains("postgres://"), "{arguments:?}: {words}");
        }
    }
    let words = fail(&["recognize", &model, &urls[1], &set]);
    assert!(words.contains("postgres://ann@127.0.0.1") && words.contains("hint:"), "{words}");
    let output = run(&["enroll", &model, &reached.replace("postgres@", "postgres:geheim@"), &set, "--adapter", "cpu"]);
    assert!(output.status.success() && !text(&output.stderr).contains("geheim"), "{}", text(&output.stderr));
    assert!(!server.log().contains("geheim"));
}

fn an_index_answers_nearly_as_exact_search(server: &Server) {
    let place = place(&server.url("indexed"));
    let model = model(8, 0);
    let points = points(3000, 8, 6);
    change(&*place, &model, |gallery| {
        for (row, point) in points.iter().enumerate() {
            // One of a hundred embeddings, who hides the others from probes near it.
            let identity = if row < 100 { 0 } else { row % 500 };
            let near: Vec<f32> =
                if row < 100 { point.iter().map(|value| 0.001 * value).collect() } else { point.clone() };
            assert!(add(gallery, &identity.to_string(), &row.to_string(), &near));
        }
    })
    .unwrap();
    assert!(place.search(Some(Index::Hnsw)).err().unwrap().to_string().contains("--index"), "it is not made yet");
    place.make_index(Index::Hnsw).unwrap();
    place.make_index(Index::Hnsw).unwrap();
    let whole = place.load().unwrap();
    let mut search = place.search(Some(Index::Hnsw)).unwrap();
    let (recall, asked) = search.recall_at_1(&whole).unwrap();
    assert!(asked == 1000 && recall > 0.95, "{recall} of {asked}");
    let probes = [vec![vec![0.0; 8]], points[1..200].to_vec()].concat().concat();
    for k in [1, 5] {
        let (exact, found) = (whole.recognise_all(&probes, k), search.recognise_all(&probes, k).unwrap());
        let right = exact.iter().zip(&found).filter(|(exact, found)| exact == found).count();
        assert!(right > 180, "{right} of 200 answers are the same to the bit");
        assert_eq!(exact[0], found[0], "with a second identity beyond a hundred embeddings of the first");
    }
    // What is enrolled later is found.
    change(&*place, &model, |gallery| assert!(add(gallery, "late", "late", &[2.0; 8]))).unwrap();
    let late = place.search(Some(Index::Hnsw)).unwrap().recognise_all(&[2.0; 8], 1).unwrap();
    assert_eq!((late[0].nearest.as_str(), late[0].distance), ("late", 0.0));
}

/// Vectors like those of a network: of the file that `VECTORS` names, as `siamese embed` writes it, the first 64
/// values, each moved a little; without it anywhere.
fn vectors() -> impl FnMut() -> [f32; 64] {
    let known = std::env::var("VECTORS").ok().map(|path| {
        let file = npyz::NpyFile::new(fs::File::open(path).unwrap()).unwrap();
        let width = file.shape()[1] as usize;
        (file.into_vec::<f32>().unwrap(), width)
    });
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    move || {
        let mut vector = std::array::from_fn(|_| rng.random_range(-1.0_f32..1.0));
        if let Some((values, width)) = &known {
            let own = &values[rng.random_range(0..values.len() / width) * width..];
            let length = own[..64].iter().map(|value| value * value).sum::<f32>().sqrt();
            vector.iter_mut().zip(own).for_each(|(value, own)| *value = own / length + 0.05 * *value);
        }
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        vector.map(|value| value / length)
    }
}

/// How fast it is: says so. `ROWS` says how many embeddings, of a quarter as many identities.
fn a_measurement(server: &Server) {
    let rows: usize = std::env::var("ROWS").map_or(200_000, |rows| rows.parse().unwrap());
    let (place, model) = (place(&server.url("many")), model(64, 0));
    let mut vector = vectors();
    let mut change = place.change(&model).unwrap();
    let mut gallery = change.gallery().unwrap();
    for row in 0..rows {
        add(&mut gallery, &format!("person {}", row % (rows / 4)), &format!("people/{row}.jpg"), &vector());
    }
    let timed = |what: &str, count: usize, run: &mut dyn FnMut()| {
        let begin = Instant::now();
        run();
        let seconds = begin.elapsed().as_secs_f64();
        eprintln!("{what}: {seconds:.3} s, {:.0} a second", count as f64 / seconds);
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.gallery");
    gallery.save(&file).unwrap();
    let probes: Vec<f32> = (0..512).flat_map(|_| vector()).collect();
    for _ in 0..3 {
        timed("file: load", rows, &mut || drop(Gallery::load(&file).unwrap()));
        timed("file: 512 probes", 512, &mut || drop(gallery.recognise_all(&probes, 1)));
        timed("file: 1 probe", 1, &mut || drop(gallery.recognise(&probes[..64], 1)));
    }
    let mut change = Some(change);
    timed("database: enrol", rows, &mut || change.take().unwrap().save(&gallery).unwrap());
    for _ in 0..3 {
        timed("database: load", rows, &mut || drop(place.load().unwrap()));
    }
    if std::env::var_os("INDEX").is_none() {
        return;
    }
    timed("hnsw: make", rows, &mut || place.make_index(Index::Hnsw).unwrap());
    let mut search = place.search(Some(Index::Hnsw)).unwrap();
    for _ in 0..3 {
        timed("hnsw: 512 probes", 512, &mut || drop(search.recognise_all(&probes, 1).unwrap()));
    }
    let (exact, found) = (gallery.recognise_all(&probes, 1), search.recognise_all(&probes, 1).unwrap());
    let right = exact.iter().zip(&found).filter(|(exact, found)| exact.distance == found.distance).count();
    let recall = search.recall_at_1(&gallery).unwrap();
    eprintln!("hnsw: nearest found of {right} of 512 probes; among the embeddings themselves {recall:?}");
}
