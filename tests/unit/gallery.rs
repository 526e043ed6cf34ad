//! Galleries: who is enrolled, what they answer, how they are judged and kept.

use std::fs;
use std::sync::Arc;
use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use siamese::Error;
use siamese::checkpoint::Checkpoint;
use siamese::config::PRESETS;
use siamese::cpu;
use siamese::gallery::{Answer, Content, Gallery, Share, Threshold};
use siamese::net::Net;
use siamese::run::Runner;
use siamese::siamese::neighbours_plan;

/// A model of two-dimensional embeddings, whose weights follow from the seed.
fn model(seed: u64) -> Checkpoint {
    let mut config = PRESETS[0].config();
    (config.spec, config.seed) = ("dense2".to_owned(), seed);
    let net = Net::parse(&config.spec, [2, 2, 1]).unwrap();
    Checkpoint::initial(&config, &net).export()
}

/// A at 0 and 1, B at 4, C at 10, on a line.
fn gallery() -> Gallery {
    let mut gallery = Gallery::new(&model(0)).unwrap();
    for (identity, name, x) in [("A", "a0", 0.0), ("A", "a1", 1.0), ("B", "b0", 4.0), ("C", "c0", 10.0)] {
        assert!(add(&mut gallery, identity, name, x));
    }
    gallery
}

/// Enrols a picture of its own content at a point on the line; answers whether it was new.
fn add(gallery: &mut Gallery, identity: &str, name: &str, x: f32) -> bool {
    gallery.add(identity, name, &Content::of(name.as_bytes()), &[x, 0.0]).unwrap()
}

fn names(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// Points on the line, as embeddings.
fn line(points: &[f32]) -> Vec<f32> {
    points.iter().flat_map(|&x| [x, 0.0]).collect()
}

#[test]
fn the_nearest_identity_answers() {
    let mut gallery = gallery();
    let answer = gallery.recognise(&[2.0, 0.0], 1);
    assert_eq!((answer.identity.as_deref(), answer.nearest.as_str()), (Some("A"), "A"));
    assert_eq!((answer.distance, answer.margin), (1.0, Some(3.0)), "squared distances to 1 and to 4");

    gallery.threshold = Some(Threshold { distance: 1.0, far: None });
    assert_eq!(gallery.recognise(&[2.0, 0.0], 1).identity.as_deref(), Some("A"), "at the threshold is inside");
    let answer = gallery.recognise(&[2.1, 0.0], 1);
    assert_eq!((answer.identity, answer.nearest.as_str()), (None, "A"), "beyond it nobody");
}

#[test]
fn several_neighbours_vote() {
    let gallery = gallery();
    // From 2.8 the nearest are B's 4, A's 1 and A's 0.
    assert_eq!(gallery.recognise(&[2.8, 0.0], 1).identity.as_deref(), Some("B"));
    let answer = gallery.recognise(&[2.8, 0.0], 3);
    assert_eq!((answer.identity.as_deref(), answer.nearest.as_str()), (Some("A"), "B"));
    assert!((answer.distance - 1.8 * 1.8).abs() < 1e-5, "its own nearest: {answer:?}");
    assert!(answer.margin.unwrap() < 0.0, "another identity is nearer: {answer:?}");
    let two = gallery.recognise(&[2.8, 0.0], 2);
    assert_eq!(two.identity.as_deref(), Some("B"), "one vote each: the nearer wins");
}

/// Nine of A at 10, one of B at 0: B wins where it is near, whatever A has far away.
#[test]
fn a_vote_is_among_those_within_the_threshold() {
    let mut gallery = Gallery::new(&model(0)).unwrap();
    (0..9).for_each(|n| assert!(add(&mut gallery, "A", &n.to_string(), 10.0)));
    add(&mut gallery, "B", "b", 0.0);
    gallery.threshold = Some(Threshold { distance: 2.0, far: None });
    let probes = line(&[1.0, 9.5, 5.0]);
    for k in [1, 2, 3, 100] {
        let answers = gallery.recognise_all(&probes, k);
        let found: Vec<_> =
            answers.iter().map(|answer| (answer.identity.as_deref(), answer.nearest.as_str())).collect();
        assert_eq!(found, [(Some("B"), "B"), (Some("A"), "A"), (None, "A")], "{k}");
        assert_eq!((answers[0].distance, answers[0].margin), (1.0, Some(80.0)), "{k}");
        let judged = gallery.judge(&answers, &names("B A B")).unwrap();
        assert_eq!((judged.closed.unwrap().share, judged.right.unwrap().share), (2.0 / 3.0, 2.0 / 3.0), "{k}");
    }
    // The vote counts what is within: two of A against one of B that is nearer.
    gallery.threshold = Some(Threshold { distance: 60.0, far: None });
    let answer = gallery.recognise(&[4.0, 0.0], 3);
    assert_eq!((answer.identity.as_deref(), answer.nearest.as_str()), (Some("A"), "B"));
    assert_eq!((answer.distance, answer.margin), (36.0, Some(-20.0)));
}

#[test]
fn identities_come_and_go() {
    let mut gallery = gallery();
    assert_eq!(gallery.counts("A"), (2, 2));
    gallery.remove("A").unwrap();
    assert_eq!(gallery.identities(), ["B", "C"]);
    assert_eq!((gallery.counts("A"), gallery.counts("B"), gallery.counts("C")), ((0, 0), (1, 1), (1, 1)));
    assert_eq!(gallery.recognise(&[0.0, 0.0], 1).nearest, "B");
    assert_eq!(gallery.recognise(&[9.0, 0.0], 1).nearest, "C", "the others keep their names");
    assert!(add(&mut gallery, "A", "a0", 0.0), "and may come back");
    let error = gallery.remove("Z").unwrap_err().to_string();
    assert!(error.contains("`Z`") && error.contains("B, C, A"), "{error}");
}

#[test]
fn a_picture_is_known_by_its_content() {
    let mut gallery = gallery();
    let a0 = Content::of(b"a0");
    assert!(!gallery.add("A", "another name", &a0, &[5.0, 0.0]).unwrap(), "a picture is enrolled once");
    assert_eq!(gallery.holder("another name", &a0), Some("A"));
    let words = gallery.add("B", "another name", &a0, &[5.0, 0.0]).unwrap_err().to_string();
    assert!(words.starts_with("another name: ") && words.contains("`A`") && words.contains("a0"), "{words}");
    assert_eq!((gallery.counts("A"), gallery.counts("B")), ((2, 2), (1, 1)), "none of these is enrolled");
    assert!(gallery.add("B", "a0", &Content::of(b"new"), &[5.0, 0.0]).unwrap(), "a file that was overwritten");

    let words = gallery.add("B", "b2", &Content::of(b"b2"), &[f32::NAN, 0.0]).unwrap_err().to_string();
    assert!(words.contains("b2: its embedding is not finite"), "{words}");

    // Against `printf 'abc' | sha256sum`.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("abc");
    fs::write(&file, "abc").unwrap();
    let content = Content::of(&fs::read(&file).unwrap());
    assert_eq!(content, Content::of(b"abc"));
    let digits = "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"";
    assert_eq!(serde_json::to_string(&content).unwrap(), digits);
}

/// A file from before contents were noted knows its pictures by their names.
#[test]
fn galleries_without_contents_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.gallery");
    gallery().save(&file).unwrap();
    let bytes = edited(&fs::read(&file).unwrap(), |header, tensors| {
        *header = header.replace(r#""threshold""#, r#""sources":{"a0":0,"a1":0,"b0":1,"c0":2},"threshold""#);
        tensors.retain(|tensor| !tensor.0.starts_with("picture."));
    });
    fs::write(&file, bytes).unwrap();

    let mut gallery = Gallery::load(&file).unwrap();
    let new = Content::of(b"new");
    assert_eq!((gallery.holder("b0", &new), gallery.holder("b1", &new)), (Some("B"), None));
    assert!(gallery.add("C", "b1", &new, &[6.0, 0.0]).unwrap());
    gallery.remove("A").unwrap();
    gallery.save(&file).unwrap();
    let gallery = Gallery::load(&file).unwrap();
    assert_eq!((gallery.holder("b0", &new), gallery.holder("", &new)), (Some("C"), Some("C")), "by content first");
    let other = Content::of(b"other");
    assert_eq!((gallery.holder("b0", &other), gallery.holder("a0", &other)), (Some("B"), None));
}

/// Files from before pictures had tensors have them in the header.
#[test]
fn galleries_with_pictures_in_the_header_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.gallery");
    gallery().save(&file).unwrap();
    let content = |name: &str| serde_json::to_string(&Content::of(name.as_bytes())).unwrap();
    let pictures = [("a0", 0), ("a1", 0), ("b0", 1), ("c0", 2)]
        .map(|(name, identity)| format!(r#"{}:{{"name":"{name}","identity":{identity}}}"#, content(name)));
    let bytes = edited(&fs::read(&file).unwrap(), |header, tensors| {
        *header = header.replace(r#""threshold""#, &format!(r#""pictures":{{{}}},"threshold""#, pictures.join(",")));
        tensors.retain(|tensor| !tensor.0.starts_with("picture."));
    });
    fs::write(&file, &bytes).unwrap();
    assert_eq!(Gallery::load(&file).unwrap(), gallery());
    for (from, to, reason) in [
        (r#""name":"b0","identity":1"#, r#""name":"b0","identity":3"#, "identity 3 of 3"),
        (&content("b0"), &format!("\"{}\"", "g".repeat(64)), "64 hexadecimal digits"),
    ] {
        fs::write(&file, edited(&bytes, |header, _| *header = header.replace(from, to))).unwrap();
        let words = Gallery::load(&file).unwrap_err().to_string();
        assert!(words.contains(reason), "{words}");
    }
}

/// `é` in one character, and as `e` with an accent behind it.
#[test]
fn names_that_look_the_same_are_one_identity() {
    let [composed, apart] = ["Jos\u{e9}", "Jose\u{301}"];
    let mut gallery = Gallery::new(&model(0)).unwrap();
    add(&mut gallery, apart, "1", 0.0);
    add(&mut gallery, composed, "2", 1.0);
    add(&mut gallery, "Ann", "3", 5.0);
    assert_eq!(gallery.identities(), [composed, "Ann"]);
    assert_eq!((gallery.counts(composed), gallery.counts(apart)), ((2, 2), (2, 2)));
    assert!(!gallery.add(apart, "1", &Content::of(b"1"), &[0.0, 0.0]).unwrap());
    let truth = [apart.to_owned(), composed.to_owned(), "Ann".to_owned()];
    let judged = gallery.judge(&gallery.recognise_all(&line(&[0.0, 0.0, 5.0]), 1), &truth).unwrap();
    assert_eq!((judged.known, judged.right.unwrap().share, judged.closed.unwrap().share), (3, 1.0, 1.0));

    // A file from before may have both.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.gallery");
    let mut two = Gallery::new(&model(0)).unwrap();
    ["Ann", "Jose", "Ben", composed].into_iter().zip(0_u8..).for_each(|(identity, n)| {
        add(&mut two, identity, &n.to_string(), f32::from(n));
    });
    two.threshold = Some(Threshold { distance: 0.1, far: Some(0.01) });
    two.save(&file).unwrap();
    let bytes = forged(&fs::read(&file).unwrap(), "\"Jose\"", &format!("\"{apart}\""));
    fs::write(&file, bytes).unwrap();
    let mut one = Gallery::load(&file).unwrap();
    assert_eq!((one.identities(), one.threshold), (["Ann", composed, "Ben"].map(str::to_owned).as_slice(), None));
    assert_eq!((one.counts(apart), one.counts("Ben")), ((2, 2), (1, 1)));
    assert_eq!(one.holder("", &Content::of(b"3")), Some(composed));
    assert_eq!(one.recognise(&[2.9, 0.0], 1).nearest, composed);
    one.remove(apart).unwrap();
    assert_eq!(one.identities(), ["Ann", "Ben"]);
}

#[test]
fn a_centroid_is_the_mean_of_all_images() {
    let mut gallery = gallery();
    gallery.to_centroids();
    assert_eq!(gallery.counts("A"), (1, 2));
    assert_eq!(gallery.recognise(&[0.5, 0.0], 1).distance, 0.0);
    add(&mut gallery, "A", "a2", 3.5);
    gallery.to_centroids();
    assert_eq!(gallery.counts("A"), (1, 3));
    assert_eq!(gallery.recognise(&[1.5, 0.0], 1).distance, 0.0, "the mean of 0, 1 and 3.5");
}

#[test]
fn calibration_keeps_the_rate() {
    let mut gallery = gallery();
    // 200 strangers, at 0.1, 0.2, … from C, who is the last on the line.
    let strangers: Vec<f32> = (1..=200).map(|place| 10.0 + place as f32 / 10.0).collect();
    let label = vec!["stranger".to_owned(); 200];
    for (far, accepted) in [(0.01, 2), (0.05, 10), (0.5, 100)] {
        assert_eq!(gallery.calibrate(&line(&strangers), &label, far).unwrap(), 200);
        assert_eq!(gallery.threshold.unwrap().far, Some(far));
        let answers = gallery.recognise_all(&line(&strangers), 1);
        assert_eq!(answers.iter().filter(|answer| answer.identity.is_some()).count(), accepted, "at {far}");
    }
    let few = gallery.calibrate(&line(&strangers[..50]), &label[..50], 0.01).unwrap_err().to_string();
    assert!(few.contains("--far") && few.contains("50") && few.contains("100"), "{few}");
    assert!(gallery.calibrate(&line(&strangers), &label, 1.5).unwrap_err().to_string().contains("1.5"));
}

#[test]
fn a_calibrated_threshold_falls_when_the_gallery_changes() {
    let given = Some(Threshold::given(0.5).unwrap());
    let calibrated = Some(Threshold { distance: 0.5, far: Some(0.01) });
    type Change = fn(&mut Gallery);
    let changes: [Change; 4] = [
        |gallery| assert!(add(gallery, "A", "a2", 2.0)),
        |gallery| assert!(add(gallery, "D", "d0", 20.0)),
        |gallery| gallery.remove("B").unwrap(),
        Gallery::to_centroids,
    ];
    for (place, change) in changes.into_iter().enumerate() {
        for (threshold, left) in [(calibrated, None), (given, given)] {
            let mut gallery = gallery();
            gallery.threshold = threshold;
            change(&mut gallery);
            assert_eq!(gallery.threshold, left, "change {place}");
        }
    }
    let mut gallery = gallery();
    gallery.to_centroids();
    gallery.threshold = calibrated;
    assert!(!add(&mut gallery, "A", "a0", 0.0));
    gallery.to_centroids();
    gallery.remove("Z").unwrap_err();
    assert_eq!(gallery.threshold, calibrated, "none of these changes anything");
}

#[test]
fn no_threshold_refuses_impostors_at_distance_0() {
    let mut gallery = gallery();
    let label = vec!["stranger".to_owned(); 10];
    let mut probes = [10.0; 10];
    probes[9] = 11.0;
    let words = gallery.calibrate(&line(&probes), &label, 0.5).unwrap_err().to_string();
    assert!(words.contains("--far") && words.contains("9 of 10") && words.contains("take pictures out"), "{words}");
    assert_eq!(gallery.threshold, None);
    // Where the rate admits all of them, the next one sets the threshold.
    gallery.calibrate(&line(&probes), &label, 0.9).unwrap();
    let answers = gallery.recognise_all(&line(&probes), 1);
    assert_eq!(answers.iter().filter(|answer| answer.identity.is_some()).count(), 9);
}

#[test]
fn a_threshold_is_a_distance() {
    assert_eq!(Threshold::given(0.0).unwrap().distance, 0.0);
    for distance in [f32::NAN, f32::INFINITY, -1.0] {
        let words = Threshold::given(distance).unwrap_err().to_string();
        assert!(words.contains("--threshold") && words.contains(&distance.to_string()), "{words}");
    }
}

/// Where nobody is a stranger, each image plays one to the identities that are not its own.
#[test]
fn calibration_without_strangers() {
    let mut gallery = gallery();
    let probes = line(&[0.5, 3.0, 9.0, 12.0]);
    assert_eq!(gallery.calibrate(&probes, &names("A B C C"), 0.25).unwrap(), 4);
    // Nearest others: 3.5² to B, 2² to A, 5² to B, 8² to B. One of four may come in.
    let threshold = gallery.threshold.unwrap().distance;
    assert!((12.2..12.25).contains(&threshold), "{threshold}");
}

#[test]
fn answers_are_judged() {
    let mut gallery = gallery();
    gallery.threshold = Some(Threshold { distance: 1.0, far: None });
    // Right, right, too far, taken for another; two strangers, one of whom comes in.
    let probes = line(&[0.0, 4.5, 7.5, 9.5, 30.0, 10.1]);
    let truth = names("A B C B X Y");
    let judged = gallery.judge(&gallery.recognise_all(&probes, 1), &truth).unwrap();
    let share = |share: Option<Share>| share.unwrap().share;
    assert_eq!((judged.known, judged.unknown), (4, 2));
    assert_eq!(share(judged.closed), 0.75, "7.5 is nearest to C");
    assert_eq!((share(judged.right), share(judged.wrong)), (0.5, 0.25));
    assert_eq!((share(judged.far), judged.open.share), (0.5, 0.5));
    assert!(gallery.judge(&[], &[]).is_none());
}

/// Against R's `binom.confint(8, 10, methods = "wilson")` and the closed ends.
#[test]
fn shares_have_wilson_intervals() {
    let share = Share::of(8, 10).unwrap();
    assert!((share.interval.low - 0.490_162_47).abs() < 1e-7 && (share.interval.high - 0.943_317_82).abs() < 1e-7);
    let all = Share::of(10, 10).unwrap().interval;
    assert!((all.low - 0.722_467_2).abs() < 1e-6 && all.high > 1.0 - 1e-12, "{all:?}");
    assert!(Share::of(0, 0).is_none());
}

#[test]
fn files_keep_everything_and_hold_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.gallery");
    let mut gallery = gallery();
    gallery.threshold = Some(Threshold { distance: 0.1, far: Some(0.001) });
    gallery.save(&file).unwrap();
    assert_eq!(Gallery::load(&file).unwrap(), gallery);
    gallery.check_model(&file, &model(0)).unwrap();
    let words = gallery.check_model(&file, &model(1)).unwrap_err().to_string();
    assert!(words.contains("people.gallery") && words.contains(&model(1).fingerprint()), "{words}");
    let mut other = model(0);
    other.config.loss = PRESETS.iter().find(|preset| preset.name == "notebook").unwrap().config().loss;
    let words = gallery.check_model(&file, &other).unwrap_err().to_string();
    assert!(words.contains("people.gallery") && words.contains("SquaredEuclidean"), "{words}");

    let bytes = fs::read(&file).unwrap();
    for length in 0..bytes.len() {
        fs::write(&file, &bytes[..length]).unwrap();
        let error = Gallery::load(&file).unwrap_err();
        assert!(matches!(error, Error::Gallery { .. }), "{length} bytes: {error}");
    }
    fs::remove_file(&file).unwrap();
    model(0).save(&file, siamese::checkpoint::Precision::F32).unwrap();
    assert!(Gallery::load(&file).unwrap_err().to_string().contains("no gallery"));
}

/// Name, type, dimensions, bytes.
type Tensor = (String, Dtype, Vec<usize>, Vec<u8>);

/// The bytes of a gallery's file with another header or other tensors.
fn edited(bytes: &[u8], edit: impl FnOnce(&mut String, &mut Vec<Tensor>)) -> Vec<u8> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
    let file = SafeTensors::deserialize(bytes).unwrap();
    let mut header = metadata.metadata().as_ref().unwrap()["siamese-gallery"].clone();
    let copied =
        |(name, tensor): (String, TensorView)| (name, tensor.dtype(), tensor.shape().to_vec(), tensor.data().to_vec());
    let mut tensors = file.tensors().into_iter().map(copied).collect();
    edit(&mut header, &mut tensors);
    let tensors =
        tensors.iter().map(|(name, dtype, dims, bytes)| (name, TensorView::new(*dtype, dims.clone(), bytes).unwrap()));
    safetensors::serialize(tensors, Some([("siamese-gallery".to_owned(), header)].into())).unwrap()
}

/// The bytes of a gallery's file with another text in the header.
fn forged(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap();
    let (from, to) = (from.replace('"', r#"\""#), to.replace('"', r#"\""#));
    assert!(header.contains(&from), "{header}");
    let header = header.replacen(&from, &to, 1);
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes[8 + length..]].concat()
}

#[test]
fn headers_that_contradict_themselves_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.gallery");
    let mut gallery = gallery();
    gallery.threshold = Some(Threshold { distance: 0.5, far: Some(0.25) });
    gallery.save(&file).unwrap();
    let bytes = fs::read(&file).unwrap();
    let refused = |bytes: &[u8], reason: &str| {
        fs::remove_file(&file).unwrap();
        fs::write(&file, bytes).unwrap();
        let words = Gallery::load(&file).unwrap_err().to_string();
        assert!(words.contains("people.gallery") && words.contains(reason), "{words}");
    };
    for (from, to, reason) in [
        (r#"["A","B","C"]"#, r#"["A","B","C","D"]"#, "`D` has no embedding"),
        (r#"["A","B","C"]"#, r#"["A","B","B"]"#, "one name"),
        (r#""threshold""#, r#""sources":{"old.png":3},"threshold""#, "identity 3 of 3"),
        (r#""dims":2"#, r#""dims":0"#, "embeddings"),
        (r#""dims":2"#, r#""dims":3"#, "embeddings"),
        (r#""distance":0.5"#, r#""distance":-0.5"#, "threshold is -0.5"),
        (r#""distance":0.5"#, r#""distance":1e39"#, "out of range"),
        (r#""far":0.25"#, r#""far":1.25"#, "1.25"),
    ] {
        refused(&forged(&bytes, from, to), reason);
    }
    // The one embedding with a 10 in it is the fourth.
    let ten = bytes.windows(4).rposition(|word| word == 10_f32.to_le_bytes()).unwrap();
    for (value, reason) in [(f32::NAN, "embedding 3 is not finite"), (3e38, "embedding 3 is 3.0e38 long")] {
        let mut bytes = bytes.clone();
        bytes[ten..ten + 4].copy_from_slice(&value.to_le_bytes());
        refused(&bytes, reason);
    }
    // Of the tensor named so, the first byte; or its last row.
    for (name, byte, reason) in [
        ("picture.identity", 3, "identity 3 of 3"),
        ("picture.name", 0xff, "no text"),
        ("picture.name_end", 9, "ends at byte"),
    ] {
        let change = |tensor: &mut Tensor| tensor.3[0] = byte;
        refused(&edited(&bytes, |_, all| all.iter_mut().filter(|all| all.0 == name).for_each(change)), reason);
    }
    let twice = |tensor: &mut Tensor| tensor.3.copy_within(..32, 32);
    refused(&edited(&bytes, |_, all| all.iter_mut().filter(|all| all.0 == "picture.content").for_each(twice)), "twice");
    let shorter = |tensor: &mut Tensor| (tensor.2[0], _) = (3, tensor.3.truncate(12));
    refused(
        &edited(&bytes, |_, all| all.iter_mut().filter(|all| all.0 == "picture.identity").for_each(shorter)),
        "[4, 3",
    );
}

/// Answers as the definition has them, computed one pair after the other; many embeddings, some of them equal, in
/// several tiles of probes.
#[test]
fn many_probes_are_answered_as_each_alone() {
    let mut config = PRESETS[0].config();
    config.spec = "dense5".to_owned();
    let model = Checkpoint::initial(&config, &Net::parse(&config.spec, [2, 2, 1]).unwrap()).export();
    let distance = model.config.loss.distance();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut point = || std::array::from_fn::<f32, 5, _>(|_| (rng.random_range(-3.0_f32..3.0) * 4.0).round() / 4.0);
    for identities in [1, 7, 400] {
        let mut gallery = Gallery::new(&model).unwrap();
        let enrolled: Vec<_> = (0..997).map(|row| (row * row % identities, point())).collect();
        for (row, (identity, embedding)) in enrolled.iter().enumerate() {
            let content = Content::of(&row.to_le_bytes());
            gallery.add(&identity.to_string(), "", &content, embedding).unwrap();
        }
        let names = gallery.identities().to_vec();
        let number = |identity: usize| names.iter().position(|name| *name == identity.to_string()).unwrap();
        let probes: Vec<_> = (0..150).map(|_| point()).collect();
        for (threshold, k) in [(None, 1), (Some(1.5), 1), (None, 5), (Some(1.5), 5), (Some(3.0), 2000)] {
            gallery.threshold = threshold.map(|distance| Threshold { distance, far: None });
            let answers = gallery.recognise_all(probes.as_flattened(), k);
            assert_eq!(answers.len(), probes.len());
            for (probe, answer) in probes.iter().zip(&answers) {
                let all: Vec<_> =
                    enrolled.iter().map(|(id, own)| (distance.between(probe, own), number(*id))).collect();
                let least = |id: usize| all.iter().filter(|pair| pair.1 == id).map(|pair| pair.0).reduce(f32::min);
                let mut ranking: Vec<_> = (0..names.len()).map(|id| (least(id).unwrap(), id)).collect();
                ranking.sort_by(|a, b| a.0.total_cmp(&b.0));
                let mut within: Vec<_> =
                    all.iter().filter(|pair| threshold.is_none_or(|most| pair.0 <= most)).collect();
                within.sort_by(|a, b| a.0.total_cmp(&b.0));
                within.truncate(k);
                let votes = |id: usize| within.iter().filter(|pair| pair.1 == id).count();
                let ranks = |id: usize| (0..within.len()).filter(|&rank| within[rank].1 == id).sum::<usize>();
                let voted = (0..names.len()).filter(|&id| votes(id) > 0);
                let winner = match k {
                    1 => Some(ranking[0].1).filter(|_| !within.is_empty()),
                    _ => voted.min_by_key(|&id| (usize::MAX - votes(id), ranks(id))),
                };
                let shown = winner.unwrap_or(ranking[0].1);
                let expected = Answer {
                    identity: winner.map(|id| names[id].clone()),
                    nearest: names[ranking[0].1].clone(),
                    distance: least(shown).unwrap(),
                    margin: ranking.iter().find(|(_, id)| *id != shown).map(|other| other.0 - least(shown).unwrap()),
                };
                assert_eq!(*answer, expected, "{identities} identities, {threshold:?}, {k}");
                assert_eq!(gallery.recognise(probe, k), expected);
            }
        }
    }
}

/// A million embeddings of 64 values, as fast as a network embeds: says how fast they are read and searched.
#[test]
#[ignore = "a measurement, of a quarter of a gigabyte"]
fn a_million_embeddings() {
    let mut config = PRESETS[0].config();
    config.spec = "dense64".to_owned();
    let model = Checkpoint::initial(&config, &Net::parse(&config.spec, [2, 2, 1]).unwrap()).export();
    let mut gallery = Gallery::new(&model).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut point = || std::array::from_fn::<f32, 64, _>(|_| rng.random_range(-0.125..0.125));
    let rows: usize = std::env::var("ROWS").map_or(1_000_000, |rows| rows.parse().unwrap());
    let identities = rows.min(1_000_000) / 4;
    for row in 0..rows {
        let content = Content::of(&row.to_le_bytes());
        gallery.add(&format!("person {}", row % identities), &format!("people/{row}.jpg"), &content, &point()).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.gallery");
    let timed = |what: &str, run: &mut dyn FnMut()| {
        let seconds = (0..3).map(|_| {
            let begin = Instant::now();
            run();
            begin.elapsed().as_secs_f64()
        });
        let seconds: Vec<_> = seconds.collect();
        eprintln!("{what}: {seconds:.3?} s");
        seconds.into_iter().fold(f64::INFINITY, f64::min)
    };
    // What is measured by: the runner of the processor at the kernel alone.
    let (queries, references) = (256, 60_000);
    let mut runner = cpu::Runner::<f32>::new(Arc::new(neighbours_plan(queries, references, 64, 1)));
    let seconds = (0..5).map(|_| runner.profile(0..1).unwrap()[0].as_secs_f64()).fold(f64::INFINITY, f64::min);
    eprintln!("kernel `distances`: {:.1} GFLOP/s", 192e-9 * (queries * references) as f64 / seconds);
    timed("save", &mut || gallery.save(&file).unwrap());
    timed("load", &mut || drop(Gallery::load(&file).unwrap()));
    for count in [1, 16, 128, 512] {
        let probes: Vec<_> = (0..count).flat_map(|_| point()).collect();
        let search = timed(&format!("recognise {count}"), &mut || drop(gallery.recognise_all(&probes, 1)));
        eprintln!("  {:.0} probes/s, {:.1} GFLOP/s", count as f64 / search, 192e-9 * (count * rows) as f64 / search);
    }
}

/// A file may name a model whose embeddings have another length than its own.
#[test]
fn a_gallery_of_other_dimensions_is_not_the_models() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.gallery");
    Gallery::new(&model(0)).unwrap().save(&file).unwrap();
    let bytes = fs::read(&file).unwrap();
    let bytes = forged(&bytes, r#""dims":2"#, r#""dims":3"#);
    let text = String::from_utf8_lossy(&bytes).replacen("[0,2]", "[0,3]", 1);
    fs::write(&file, text.as_bytes()).unwrap();
    let words = Gallery::load(&file).unwrap().check_model(&file, &model(0)).unwrap_err().to_string();
    assert!(words.contains("people.gallery") && words.contains("3 numbers") && words.contains("have 2"), "{words}");
}
