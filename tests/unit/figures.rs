//! Figures for a report: counts add up, projections are what they claim to be, thinning keeps what matters.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::RgbImage;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use siamese::data::store::Images;
use siamese::data::{Dataset, Split};
use siamese::embed;
use siamese::eval::Roc;
use siamese::feed::Residence;
use siamese::figures::{Confused, Figures, SIDE, Tiles, confusion, evenly, histogram, pca, thin_roc, tsne};
use siamese::sampler::{Batch, Mining};
use siamese::train::Trainer;
use siamese::{checkpoint::Checkpoint, config, cpu, net::Net};

/// `count` numbers from -1 to 1.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// A positive pair tends to be nearer.
fn roc(pairs: usize) -> Roc {
    let distances = |seed, middle: f32| numbers(seed, pairs).iter().map(|value| middle + value).collect();
    Roc::new(distances(1, 1.0), distances(2, 1.7)).unwrap()
}

#[test]
fn even_picks_keep_the_ends() {
    assert_eq!(evenly(5, 9), [0, 1, 2, 3, 4], "few are all taken");
    assert_eq!(evenly(9, 5), [0, 2, 4, 6, 8]);
    assert_eq!(evenly(10, 3), [0, 4, 9]);
    assert_eq!((evenly(0, 3), evenly(7, 1)), (vec![], vec![0]));
    let picked = evenly(10_000, 1500);
    assert_eq!((picked.len(), picked[0], picked[1499]), (1500, 0, 9999));
    assert!(picked.windows(2).all(|pair| pair[0] < pair[1]), "none twice");
}

#[test]
fn a_confusion_counts_every_image_once() {
    let (classes, answers) = ([0, 0, 1, 2, 2, 2], [0, 1, 1, 2, 0, 2]);
    let found = confusion(&classes, &answers);
    let cell = |class, answer, count| Confused { class, answer, count };
    assert_eq!(found, [cell(0, 0, 1), cell(0, 1, 1), cell(1, 1, 1), cell(2, 0, 1), cell(2, 2, 2)]);
}

#[test]
fn a_histogram_counts_every_pair_once() {
    let roc = roc(5000);
    let found = histogram(&roc, 40);
    for (counts, distances) in [(&found.positive, roc.positive()), (&found.negative, roc.negative())] {
        assert_eq!(counts.iter().sum::<u64>(), 5000);
        let inside = |bin: usize, distance: f32| {
            let place = f64::from(distance) / found.width;
            place >= bin as f64 && (place < bin as f64 + 1.0 || bin == 39)
        };
        for (bin, &count) in counts.iter().enumerate() {
            assert_eq!(count as usize, distances.iter().filter(|&&distance| inside(bin, distance)).count(), "{bin}");
        }
    }
    let collapsed = histogram(&Roc::new(vec![0.0; 3], vec![0.0; 4]).unwrap(), 8);
    assert_eq!((collapsed.positive[0], collapsed.negative[0]), (3, 4), "all images at one point");
}

#[test]
fn a_thinned_roc_is_the_curve() {
    let roc = roc(20_000);
    let (all, thin) = (roc.points(), thin_roc(&roc, 400));
    assert!(thin.len() <= 400 && thin.len() > 200, "{} points", thin.len());
    for (end, own) in [(all[0], thin[0]), (all[all.len() - 1], thin[thin.len() - 1])] {
        assert_eq!(end, (own.threshold as f32, own.far, own.tar));
    }
    for point in &thin {
        let limit = point.threshold as f32;
        assert_eq!((point.far, point.tar), (roc.far(limit), roc.tar(limit)), "a point of the curve");
    }
    // Between two neighbours the curve moves by no more than is seen: a hundredth of its height and of its decades.
    let decades = 20_000_f64.log10();
    for pair in thin.windows(2) {
        let across = (pair[1].far.max(5e-5).log10() - pair[0].far.max(5e-5).log10()) / decades;
        assert!(pair[1].tar - pair[0].tar <= 0.01 && across <= 0.08, "{pair:?}");
    }
    let few = Roc::new(vec![1.0, 2.0], vec![1.5, 3.0]).unwrap();
    assert_eq!(thin_roc(&few, 400).len(), 4, "a short curve stays as it is");
}

/// An ellipse in a tilted plane of five dimensions: PCA finds its axes, and how long they are.
#[test]
fn pca_finds_the_axes_of_an_ellipse() {
    // Two directions at right angles, of length 1.
    let (long, short) = ([0.8_f32, 0.0, 0.6, 0.0, 0.0], [0.0_f32, 0.6, 0.0, -0.8, 0.0]);
    let angles: Vec<f32> = (0..360).map(|degree| (degree as f32).to_radians()).collect();
    let values: Vec<f32> = angles
        .iter()
        .flat_map(|angle| (0..5).map(move |k| 7.0 + 3.0 * angle.cos() * long[k] + angle.sin() * short[k]))
        .collect();
    for (point, angle) in pca(&values, 5).iter().zip(&angles) {
        // Each axis points to where its largest component does: the long one as it is, the short one turned round.
        let expected = [3.0 * angle.cos(), -angle.sin()];
        assert!(point.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{point:?}, not {expected:?}");
    }
    let line = pca(&[1.0, 2.0, 6.0], 1);
    assert_eq!(line, [[-2.0, 0.0], [-1.0, 0.0], [3.0, 0.0]], "one dimension is the first axis");
}

/// Three distant heaps in ten dimensions: every point of the layout has its nearest neighbours in its own heap, and
/// the layout is the same bits again.
#[test]
fn tsne_keeps_heaps_apart() {
    let noise = numbers(3, 150 * 10);
    let values: Vec<f32> =
        noise.iter().enumerate().map(|(at, value)| value + 9.0 * f32::from(at % 10 == at / 10 % 3)).collect();
    let points = tsne(&values, 10);
    assert_eq!(points.len(), 150);
    for (own, a) in points.iter().enumerate() {
        let away = |b: &[f32; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
        let mut others: Vec<usize> = (0..150).filter(|&at| at != own).collect();
        others.sort_by(|&b, &c| away(&points[b]).total_cmp(&away(&points[c])));
        assert!(others[..10].iter().all(|at| at % 3 == own % 3), "point {own} at {a:?}");
    }
    assert_eq!(tsne(&values, 10), points, "the same bits");
    assert!(tsne(&values[..70], 10).is_empty(), "seven points are too few");
    assert!(tsne(&[0.5; 40 * 4], 4).is_empty(), "all images at one point");
    // Every image three times: neighbours at no distance at all.
    let thrice = values[..50 * 10].repeat(3);
    assert!(tsne(&thrice, 10).as_flattened().iter().all(|value| value.is_finite()));
}

fn decoded(png: &str) -> RgbImage {
    let bytes = STANDARD.decode(png).expect("base64");
    image::ImageReader::with_format(Cursor::new(bytes), image::ImageFormat::Png).decode().expect("a PNG").to_rgb8()
}

#[test]
fn a_sprite_holds_each_image_once() {
    let images: Vec<Vec<u8>> = (0..60).map(|at| (0..12).map(|value| (at * 4 + value * 7) as u8).collect()).collect();
    let mut tiles = Tiles::new([2, 2, 3]);
    let places: Vec<u32> = images.iter().chain(&images).map(|image| tiles.add(Ok(image.into()))).collect();
    assert_eq!(places[..60], places[60..], "the second time the same tile");
    let sprite = tiles.sprite().unwrap();
    assert_eq!((sprite.tiles, sprite.width, sprite.height), (60, 2, 2));
    let sheet = decoded(&sprite.png);
    for (image, &place) in images.iter().zip(&places) {
        let (x, y) = (place as usize % sprite.columns * 2, place as usize / sprite.columns * 2);
        for (at, pixel) in image.chunks(3).enumerate() {
            assert_eq!(sheet.get_pixel((x + at % 2) as u32, (y + at / 2) as u32).0, pixel, "tile {place}");
        }
    }
}

#[test]
fn large_images_are_scaled_down() {
    let image = [vec![0; 100 * 100], vec![200; 100 * 100]].concat();
    let mut tiles = Tiles::new([100, 200, 1]);
    tiles.add(Ok((&image).into()));
    let sprite = tiles.sprite().unwrap();
    assert_eq!((sprite.width, sprite.height), (SIDE, SIDE / 2));
    let sheet = decoded(&sprite.png);
    assert_eq!((sheet.dimensions(), sheet.get_pixel(9, 3).0, sheet.get_pixel(9, 28).0), ((64, 32), [0; 3], [200; 3]));
    let many: Vec<Vec<u8>> = (0..3000_u16).map(|at| at.to_le_bytes().repeat(32 * 64)).collect();
    let mut tiles = Tiles::new([64, 64, 1]);
    many.iter().for_each(|image| _ = tiles.add(Ok(image.into())));
    assert!(tiles.sprite().unwrap().width < 32, "so many are smaller");
}

/// Noise, which no file makes smaller: the tiles are, until the page of them is no larger than 5 MB.
#[test]
fn pictures_of_noise_make_no_large_page() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let images: Vec<Vec<u8>> = (0..1800).map(|_| (0..64 * 64 * 3).map(|_| rng.random()).collect()).collect();
    let mut tiles = Tiles::new([64, 64, 3]);
    images.iter().for_each(|image| _ = tiles.add(Ok(image.as_slice().into())));
    let sprite = tiles.sprite().unwrap();
    assert!(sprite.png.len() < 4_000_000, "{} bytes", sprite.png.len());
    assert!(sprite.width >= 20, "{} pixels are enough to see a picture", sprite.width);
    assert_eq!(decoded(&sprite.png).dimensions().0 as usize, sprite.columns * sprite.width);
}

/// 4×4 images of three labels, a bright row each, on noise.
fn bars(name: &str, seed: u64, count: usize) -> Dataset {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let labels: Vec<u32> = (0..count as u32).map(|row| [3, 5, 8][row as usize % 3]).collect();
    let bright = |label: u32, pixel: usize| if pixel / 4 == label as usize / 3 { 120 } else { 0 };
    let images = labels.iter().flat_map(|&label| (0..16).map(move |pixel| bright(label, pixel))).collect::<Vec<u8>>();
    let images = images.into_iter().map(|value| value + rng.random_range(0..60)).collect();
    let images = Images::new(images, 16);
    Dataset { name: name.to_owned(), images, labels, label_names: Vec::new(), height: 4, width: 4, channels: 1 }
}

/// The figures of a short training agree with its evaluation, with the embeddings, and with themselves as JSON.
#[test]
fn figures_of_a_training() {
    let split = Split::new("part", bars("train", 1, 90), bars("test", 2, 60)).unwrap();
    let parts = split.divide(None, None, 0).unwrap();
    for mining in [None, Some(Mining::SemiHard), Some(Mining::BatchHard)] {
        let batch = match mining {
            None => Batch::Random { triplets: 8, positive: siamese::sampler::Positive::Other },
            Some(mining) => Batch::Mined { labels: 3, images: 6, mining },
        };
        let config = config::Config { spec: "dense6 l2".to_owned(), batch, steps: 3, ..config::PRESETS[0].config() };
        let net = Net::parse(&config.spec, [4, 4, 1]).unwrap();
        let start = Checkpoint::initial(&config, &net);
        let mut trainer =
            Trainer::new(&start, &parts.train, Residence::Device, |plan| Ok(cpu::Runner::<f32>::new(plan))).unwrap();
        trainer.run(3, &false.into(), |_| ()).unwrap();
        let evaluated = embed::evaluate(trainer.runner(), &net, &config, &parts, |_| ()).unwrap();
        let make = || Figures::of(trainer.runner(), &net, &config, &parts, 3, &evaluated).unwrap();
        let figures = make();
        assert_eq!(make(), figures, "the same again");
        let text = serde_json::to_string(&figures).unwrap();
        assert_eq!(serde_json::from_str::<Figures>(&text).unwrap(), figures, "JSON keeps every bit");

        assert_eq!(figures.classes, ["3", "5", "8"]);
        let right: u32 = figures.confusion.iter().filter(|cell| cell.class == cell.answer).map(|cell| cell.count).sum();
        assert!(
            (f64::from(right) / 60.0 - evaluated.evaluation.knn5.unwrap()).abs() < 1e-12,
            "the diagonal is the accuracy"
        );
        let probes: u32 = figures.gallery.iter().map(|identity| identity.probes).sum();
        let recognised: u32 = figures.gallery.iter().map(|identity| identity.recognised).sum();
        let mistaken: u32 = figures.gallery.iter().map(|identity| identity.mistaken).sum();
        assert_eq!((probes, recognised + mistaken), (57, 57), "every probe is taken for someone");
        assert!((f64::from(recognised) / 57.0 - evaluated.evaluation.one_shot.unwrap()).abs() < 1e-12);
        let eer = &figures.marks[0];
        assert!((1.0 - eer.point.tar - eer.point.far).abs() < 0.05, "{eer:?}");

        assert_eq!(figures.map.points.len(), 60);
        assert_eq!((figures.map.pca.len(), figures.map.tsne.len()), (60, 60));
        let ratio = |error: &siamese::figures::Misplaced| error.other.distance / error.own.distance;
        assert!(figures.errors.windows(2).all(|pair| ratio(&pair[0]) <= ratio(&pair[1])), "the worst first");
        let wrong = figures.errors.iter().filter(|error| ratio(error) < 1.0).count();
        let missed = 60.0 * (1.0 - evaluated.evaluation.recall_at_1.unwrap());
        assert_eq!((figures.errors.len(), wrong), (24, (missed.round() as usize).min(24)), "as many as recall misses");

        assert_eq!(figures.triplets.len(), if mining.is_none() { 8 } else { 3 });
        for triplet in &figures.triplets {
            assert_eq!(triplet.anchor.class, triplet.positive.shown.class);
            assert_ne!(triplet.anchor.class, triplet.negative.shown.class);
            assert_ne!(triplet.anchor.tile, triplet.positive.shown.tile, "another image");
        }
        assert!(figures.triplets.iter().all(|triplet| (triplet.anchor.tile as usize) < figures.sprite.tiles));
    }
}
