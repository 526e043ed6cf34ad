//! Data sets, checkpoints, weights and galleries.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use libtest_mimic::Trial;
use siamese::checkpoint::{Checkpoint, Precision};
use siamese::config::{Config, PRESETS, Pixels};
use siamese::cpu;
use siamese::data::pictures::Pictures;
use siamese::data::store::Images;
use siamese::data::{self, Bad, Dataset, HoldBack, Split, idx, packed};
use siamese::embed::Embedder;
use siamese::error::{Error, Result};
use siamese::feed::Residence;
use siamese::gallery::{Content, Gallery, Threshold};
use siamese::import::{self, Map, Weights};
use siamese::net::Net;
use siamese::onnx;
use siamese::output::Output;
use siamese::sampler::{Augment, Batch, Mining, Positive, Sampler};
use siamese::train::Trainer;

use crate::harness::{FILE, Target, file, written};
use crate::mutate::{self, Dice};

/// A network for images of 6 × 6.
const SPEC: &str = "conv2 relu pool dense3 l2";
const INPUT: [usize; 3] = [6, 6, 1];
/// Values of an image, parameters and rows of a batch up to which what was read is also run.
const SMALL: (usize, usize, usize) = (20_000, 100_000, 64);

fn config() -> Config {
    let batch = Batch::Mined { labels: 2, images: 3, mining: Mining::SemiHard };
    Config { spec: SPEC.to_owned(), batch, augment: Augment::ELASTIC, average: Some(0.9), ..PRESETS[0].config() }
}

fn checkpoint(config: &Config) -> Checkpoint {
    Checkpoint::initial(config, &Net::parse(&config.spec, INPUT).expect("the spec of the seeds"))
}

/// Checkpoints of a training and of weights alone, in both precisions.
static CHECKPOINTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let training = Checkpoint { validation: Some(0.5), step: 7, ..checkpoint(&config()) };
    let plain = checkpoint(&Config { average: None, augment: Augment::NONE, ..config() });
    vec![
        written(|path| training.save(path, Precision::F32).unwrap()),
        written(|path| plain.save(path, Precision::F32).unwrap()),
        written(|path| training.export().save(path, Precision::F16).unwrap()),
    ]
});

static GALLERIES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut gallery = Gallery::new(&checkpoint(&config())).unwrap();
    gallery.add("a", "1.png", &Content::of(b"1"), &[0.0, 0.6, 0.8]).unwrap();
    gallery.add("b", "2.png", &Content::of(b"2"), &[1.0, 0.0, 0.0]).unwrap();
    gallery.add("b", "3.png", &Content::of(b"3"), &[0.8, 0.0, 0.6]).unwrap();
    let plain = written(|path| gallery.save(path).unwrap());
    gallery.threshold = Some(Threshold::given(0.5).unwrap());
    vec![plain, written(|path| gallery.save(path).unwrap())]
});

fn idx_file(dimensions: &[u32], data: Vec<u8>) -> Vec<u8> {
    let sizes = dimensions.iter().flat_map(|size| size.to_be_bytes());
    [0, 0, 8, dimensions.len() as u8].into_iter().chain(sizes).chain(data).collect()
}

static IMAGES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    vec![idx_file(&[8, 3, 5], vec![7; 120]), idx_file(&[8, 3, 5, 3], (0..=255).cycle().take(360).collect())]
});
static LABELS: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| vec![idx_file(&[8], vec![0, 1, 0, 1, 0, 1, 255, 255]), idx_file(&[8], vec![0; 8])]);

/// A set of twelve images with names, and one without.
static PACKED: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let set = |name: &str| Dataset {
        name: name.to_owned(),
        images: Images::new((0..12 * 36).map(|value| value as u8).collect(), 36),
        labels: (0..12).map(|row| row % 3).collect(),
        label_names: ["a", "b", "c"].map(str::to_owned).to_vec(),
        height: 6,
        width: 6,
        channels: 1,
    };
    let plain = Split::new("seed", set("train"), set("test")).expect("images in memory");
    let names = ["train", "test"].map(|side| (0..12).map(|row| format!("{side}/{row}")).collect());
    let named = Split { names, ..plain.clone() };
    let pack = |split: Split| {
        written(|path| {
            let output = Output::prepare(path, packed::KIND).unwrap();
            packed::write(split.clone(), Pictures::default(), Bad::Refused, output, || ()).unwrap();
        })
    };
    vec![pack(plain), pack(named)]
});

/// Pictures in folders, and samples with their classes beside them.
static SHARDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut png = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(6, 6).write_to(&mut png, image::ImageFormat::Png).expect("memory takes any image");
    let png = png.into_inner();
    let folders: [(&str, &[u8]); 4] =
        [("train/a/1.png", &png), ("train/b/1.png", &png), ("test/a/1.png", &png), ("test/b/2.png", &png)];
    let samples: [(&str, &[u8]); 6] = [
        ("1.png", &png),
        ("1.cls", b"0"),
        ("2.json", br#"{"label": 1}"#),
        ("2.png", &png),
        ("train.png", &png),
        ("train.cls", b"a/b"),
    ];
    let shard = |files: &[(&str, &[u8])]| {
        let mut shard = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut head = tar::Header::new_gnu();
            head.set_size(bytes.len() as u64);
            shard.append_data(&mut head, name, *bytes).expect("memory takes any file");
        }
        shard.into_inner().expect("memory takes any file")
    };
    vec![shard(&folders), shard(&samples)]
});

/// What the program does with a set.
fn use_split(split: Split) -> Result<()> {
    for set in split.sets() {
        set.rows_by_label();
        (0..set.len()).for_each(|row| drop(set.image(row)));
    }
    split.divide(None, Some(HoldBack::Images(2)), 0).map(drop).or_else(setting)
}

/// One of the seeds, changed by `change`.
fn changed(dice: &mut Dice, seeds: &[Vec<u8>], change: impl Fn(&mut Dice, &mut Vec<u8>, &[Vec<u8>])) -> Vec<u8> {
    let mut file = dice.pick(seeds).clone();
    change(dice, &mut file, seeds);
    file
}

/// All targets of this file.
pub fn trials() -> Vec<Trial> {
    vec![
        Target {
            name: "idx_images",
            cases: 6000,
            mib: 16,
            case: |dice: &mut Dice, folder: &Path| images(folder, &changed(dice, &IMAGES, mutate::bytes)),
        }
        .trial(),
        Target {
            name: "idx_images_gz",
            cases: 6000,
            mib: 16,
            case: |dice: &mut Dice, folder: &Path| images(folder, &changed(dice, &IMAGES, mutate::gzip)),
        }
        .trial(),
        Target {
            name: "idx_labels",
            cases: 6000,
            mib: 16,
            case: |dice: &mut Dice, folder: &Path| labels(folder, &changed(dice, &LABELS, mutate::bytes)),
        }
        .trial(),
        Target {
            name: "idx_labels_gz",
            cases: 6000,
            mib: 16,
            case: |dice: &mut Dice, folder: &Path| labels(folder, &changed(dice, &LABELS, mutate::gzip)),
        }
        .trial(),
        Target { name: "idx_set", cases: 1000, mib: 16, case: set }.trial(),
        Target {
            name: "packed",
            cases: 2000,
            mib: 64,
            case: |dice: &mut Dice, folder: &Path| {
                let path = file(folder, &changed(dice, &PACKED, mutate::safetensors));
                use_split(packed::load(&path, Pictures::default())?)
            },
        }
        .trial(),
        Target {
            name: "shard",
            cases: 4000,
            mib: 64,
            case: |dice: &mut Dice, folder: &Path| {
                let path = folder.join(format!("{FILE}.tar"));
                fs::write(&path, changed(dice, &SHARDS, mutate::bytes)).expect("the temporary folder takes a file");
                use_split(data::load(&path, Some([6, 6, 1]), Pictures::default(), None)?)
            },
        }
        .trial(),
        Target {
            name: "checkpoint",
            cases: 300,
            mib: 256,
            case: |dice: &mut Dice, folder: &Path| {
                let path = file(folder, &changed(dice, &CHECKPOINTS, mutate::safetensors));
                use_checkpoint(&Checkpoint::load(&path)?, folder)
            },
        }
        .trial(),
        Target {
            name: "weights",
            cases: 2000,
            mib: 64,
            case: |dice: &mut Dice, folder: &Path| {
                let path = file(folder, &changed(dice, &CHECKPOINTS[2..], mutate::safetensors));
                let config = Config { average: None, ..config() };
                embed(&Checkpoint::import(&Weights::read(&path)?, &config, INPUT)?.0)
            },
        }
        .trial(),
        Target { name: "map", cases: 2000, mib: 64, case: mapped }.trial(),
        Target {
            name: "onnx",
            cases: 3000,
            mib: 128,
            case: |dice: &mut Dice, folder: &Path| graph(folder, &changed(dice, &GRAPHS, mutate::protobuf)),
        }
        .trial(),
        Target {
            name: "gallery",
            cases: 300,
            mib: 64,
            case: |dice: &mut Dice, folder: &Path| {
                let path = file(folder, &changed(dice, &GALLERIES, mutate::safetensors));
                use_gallery(Gallery::load(&path)?, &folder.join(format!("{FILE}.again")))
            },
        }
        .trial(),
    ]
}

/// Networks of every kind of word as ONNX files, in both precisions, and as torch.onnx writes them.
static GRAPHS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let specs = [
        SPEC,
        "conv4 bn prelu add( conv4 gn2 hswish | ) cat( pool1 | avg1 silu ) mean dense3 ln scale0.5 l2",
        "conv4 bn relu dense5 bn relu drop0.5 dense3 l2",
        "conv2p2 relu6 depth leaky0.1 add0( conv4s2 | ) ln sigmoid dense3 gn1 dense3",
    ];
    let graph = |(number, spec): (usize, &str)| {
        let mut config = Config { spec: spec.to_owned(), average: None, ..config() };
        config.pictures.invert = number == 1;
        config.pixels = Pixels { mean: vec![number as f32], deviation: vec![57.5] };
        let precision = if number == 3 { Precision::F16 } else { Precision::F32 };
        onnx::model(&checkpoint(&config), precision).expect("the spec of a seed")
    };
    let others = ["foreign", "norms"].map(|name| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.onnx"));
        fs::read(path).expect("a file of the tests")
    });
    specs.into_iter().enumerate().map(graph).chain(others).collect()
});

/// What the program does with an ONNX file.
fn graph(folder: &Path, bytes: &[u8]) -> Result<()> {
    let read = import::onnx::read(&file(folder, bytes), None)?;
    let mut config = Config { spec: read.spec, average: None, ..config() };
    config.pixels = read.pixels.unwrap_or(config.pixels);
    config.pictures.invert = read.invert;
    imported(&read.weights, &config, read.input, folder)
}

/// Lines of a map, and the weights that it is for.
static MAPPED: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let model = checkpoint(&Config { average: None, ..config() }).export();
    let weights = written(|path| model.save(path, Precision::F32).unwrap());
    let names = model.net().expect("the spec of the seeds").placed().into_iter().map(|tensor| tensor.name);
    let lines = names.map(|name| format!("{name} = {name}  # of another\n"));
    [lines.collect::<String>().into_bytes(), weights]
});

/// Weights by names that a map brings to ours: one of both files is changed, or both.
fn mapped(dice: &mut Dice, folder: &Path) -> Result<()> {
    let [mut lines, mut weights] = MAPPED.clone();
    let which = dice.below(3);
    if which != 0 {
        let other = lines.clone();
        mutate::bytes(dice, &mut lines, &[other]);
    }
    if which != 1 {
        mutate::safetensors(dice, &mut weights, &CHECKPOINTS);
    }
    let path = folder.join(format!("{FILE}.map"));
    fs::write(&path, lines).expect("the temporary folder takes a file");
    let map = Map::read(&path).inspect_err(|error| assert!(error.to_string().contains(FILE), "{error}"))?;
    let weights = Weights::read(&file(folder, &weights))?.mapped(&map)?;
    imported(&weights, &Config { average: None, ..config() }, INPUT, folder)
}

/// A model of weights of others, saved whole or not at all, and read again.
fn imported(weights: &Weights, config: &Config, input: [usize; 3], folder: &Path) -> Result<()> {
    let (model, _) = Checkpoint::import(weights, config, input)?;
    if !is_small(&model) {
        return Ok(());
    }
    let out = folder.join("out");
    let saved = model.save(&out, Precision::F32);
    let files = fs::read_dir(folder).expect("the temporary folder").flatten().map(|file| file.file_name());
    let others = files.filter(|name| !name.to_string_lossy().starts_with(FILE)).count();
    assert_eq!(others, usize::from(saved.is_ok()), "a model, or nothing");
    saved?;
    let bits = |model: &Checkpoint| model.parameters.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert!(bits(&Checkpoint::load(&out)?) == bits(&model));
    embed(&model)
}

fn images(folder: &Path, bytes: &[u8]) -> Result<()> {
    let (pixels, height, width, channels) = idx::read_images(&file(folder, bytes))?;
    assert!(!pixels.is_empty() && pixels.len() % (height * width * channels) == 0);
    Ok(())
}

fn labels(folder: &Path, bytes: &[u8]) -> Result<()> {
    let labels = idx::read_labels(&file(folder, bytes))?;
    Sampler::new(&labels, 1, Batch::Random { triplets: 4, positive: Positive::Any })
        .map(|sampler| drop(sampler.batch(3)))
        .or_else(setting)
}

/// What the settings do not fit is not the file's fault.
fn setting(error: Error) -> Result<()> {
    if matches!(error, Error::Config { .. } | Error::Diverged { .. }) { Ok(()) } else { Err(error) }
}

/// Four files, one or two of them changed, as a run would use them.
fn set(dice: &mut Dice, folder: &Path) -> Result<()> {
    let folder = folder.join(FILE);
    fs::create_dir(&folder).expect("a new folder");
    let (changed_file, colour) = (dice.below(4), dice.below(2));
    for (number, name) in
        ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"].iter().enumerate()
    {
        let seeds = if number % 2 == 0 { &IMAGES } else { &LABELS };
        let mut bytes = seeds[if number % 2 == 0 { colour } else { 0 }].clone();
        if number == changed_file {
            mutate::bytes(dice, &mut bytes, seeds);
        }
        fs::write(folder.join(format!("{name}-ubyte")), bytes).expect("the temporary folder takes a file");
    }
    let split = idx::load(&folder)?;
    let classes = ["0", "255", *dice.pick(&["1", "x", "0-300"])].map(str::to_owned);
    let classes = dice.one_in(2).then_some(&classes[..]);
    let hold_back = dice.one_in(2).then(|| HoldBack::Images(dice.below(10)));
    match split.divide(classes, hold_back, 1) {
        Ok(parts) => assert!(!parts.train.is_empty() && !parts.evaluation.test.is_empty()),
        Err(error) => setting(error)?,
    }
    Ok(())
}

fn is_small(checkpoint: &Checkpoint) -> bool {
    let net = checkpoint.net().expect("it was parsed when the file was read");
    net.pixels() <= SMALL.0 && net.parameter_count() <= SMALL.1
}

/// The embedding of one image.
fn embed(checkpoint: &Checkpoint) -> Result<()> {
    if is_small(checkpoint) {
        let mut embedder = Embedder::new(checkpoint, 2, |plan| Ok(cpu::Runner::<f32>::new(plan)))?;
        let size = checkpoint.input.iter().product();
        let image = Images::new(vec![7; size], size);
        assert_eq!(embedder.embed(&image, |_| ())?.len(), checkpoint.net()?.dims());
    }
    Ok(())
}

/// What the program does with a checkpoint: embeds, exports, saves, enrols, trains on.
fn use_checkpoint(checkpoint: &Checkpoint, folder: &Path) -> Result<()> {
    embed(checkpoint)?;
    for step in [1, 2, 1000, u64::MAX] {
        checkpoint.config.scalars(step);
    }
    // Equal as files: what is not a number is not equal to itself.
    let [once, twice] = ["once", "twice"].map(|name| folder.join(format!("{FILE}.{name}")));
    checkpoint.save(&once, Precision::F32)?;
    Checkpoint::load(&once)?.save(&twice, Precision::F32)?;
    let [once, twice] = [once, twice].map(|path| fs::read(path).expect("it is saved"));
    assert!(once == twice, "it is read as it was saved");
    let model = checkpoint.export();
    model.save(&folder.join(format!("{FILE}.model")), Precision::F16)?;
    onnx::model(&model, Precision::F32)?;
    Gallery::new(&model)?;
    if is_small(checkpoint) && checkpoint.config.batch.rows() <= SMALL.2 {
        let [height, width, channels] = checkpoint.input;
        let (images, labels) = ((0..=255).cycle().take(16 * height * width * channels), (0..16).map(|row| row % 4));
        let (name, label_names) = ("sixteen".to_owned(), Vec::new());
        let (images, labels) = (Images::new(images.collect(), height * width * channels), labels.collect());
        let data = Dataset { name, images, labels, label_names, height, width, channels };
        let trained = Trainer::new(checkpoint, &data, Residence::Device, |plan| Ok(cpu::Runner::<f32>::new(plan)))
            .and_then(|mut trainer| trainer.run(checkpoint.step.saturating_add(1), &AtomicBool::new(false), |_| ()));
        trained.or_else(setting)?;
    }
    Ok(())
}

/// What the program does with a gallery: recognises, calibrates, enrols, thins out, saves.
fn use_gallery(mut gallery: Gallery, again: &Path) -> Result<()> {
    let probes = [0.0, 0.6, 0.8, 1.0, 0.0, 0.0];
    let names = ["a".to_owned(), "q".to_owned()];
    let has_three = gallery.check_model(again, &checkpoint(&config())).is_ok();
    let identities = gallery.identities().to_vec();
    if has_three && !identities.is_empty() {
        for nearest in [1, 3, 1000] {
            let answers = gallery.recognise_all(&probes, nearest);
            gallery.judge(&answers, &names);
        }
        gallery.calibrate(&probes, &names, 0.5).map(drop).or_else(setting)?;
        gallery.add("new", "new.png", &Content::of(b"new"), &[0.0, 1.0, 0.0])?;
    }
    gallery.images();
    assert!(identities.iter().all(|name| gallery.counts(name).0 > 0), "everyone has an embedding");
    for thinned in [false, true] {
        if thinned {
            gallery.to_centroids();
        }
        gallery.save(again)?;
        assert_eq!(Gallery::load(again)?, gallery);
    }
    if let Some(name) = identities.first() {
        gallery.remove(name)?;
        gallery.save(again)?;
    }
    Ok(())
}
