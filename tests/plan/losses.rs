//! Every loss of the registry: what it states, that its part of a plan is right on a device, and what it says of a
//! training that goes wrong. (That its gradient is that of its cost: `tests/layers/gradients.rs`.)

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use siamese::checkpoint::Checkpoint;
use siamese::config::{Config, PRESETS};
use siamese::gpu::Probe;
use siamese::head::Head;
use siamese::host::{Array, pack};
use siamese::layers::Kind;
use siamese::losses::triplet::Margin;
use siamese::losses::{Ailment, COLLAPSED, Count, Distance, GRADIENT_NORM, LOSS, Loss, NON_FINITE, Objective, Triplet};
use siamese::net::Net;
use siamese::plan::Plan;
use siamese::run::Runner;
use siamese::sampler::{Batch, Mining, Positive};
use siamese::settings::{Range, Setting};
use siamese::siamese::{Source, Stats, slots, training_plan};
use siamese::train::{Health, StepReport};
use siamese::{check, cpu, gpu, kernels};

const IMAGES: usize = 19;
/// Image i is of class i modulo this.
const CLASSES: usize = 4;

fn mined(mining: Mining) -> Batch {
    Batch::Mined { labels: 10, images: 32, mining }
}

fn hinge(margin: f32) -> Loss {
    Triplet { distance: Distance::SquaredEuclidean, margin: Margin::Hinge(margin) }.into()
}

/// A small network's plan with a loss on a batch.
fn plan(config: &Config) -> (Net, Plan) {
    let net = Net::parse(&config.spec, [4, 4, 1]).unwrap_or_else(|error| panic!("{error}"));
    let source = Source { slot: "images".to_owned(), images: IMAGES, scale: config.scale(), classes: CLASSES };
    let plan = training_plan(&net, &source, config);
    (net, plan)
}

fn config(loss: Loss, batch: Batch) -> Config {
    Config { spec: "dense6 relu dense4 l2".to_owned(), loss, batch, ..PRESETS[0].config() }
}

/// What the kernels of statistics and of weighted pairs rely on, and the order of what is reported.
#[test]
fn every_loss_states_cost_and_count_first() {
    let cases = Loss::cases();
    assert!(!cases.is_empty());
    for (loss, batch) in cases {
        let what = format!("{loss:?} {batch:?}");
        let names: Vec<_> = loss.terms().iter().map(|term| term.name).collect();
        assert_eq!([names[kernels::terms::COST], names[kernels::terms::COUNT]], ["cost", "count"], "{what}");
        assert!(names.len() <= kernels::MOST_TERMS, "{what}: {names:?}");
        assert!(loss.terms()[..2].iter().all(|term| term.per == Count::Counted), "{what}: the loss is their quotient");
        for term in &loss.terms()[2..] {
            assert!(loss.count(&batch, term.per) > 0, "{what}: a mean of `{}` over nothing", term.name);
        }
        let statistics = loss.statistics();
        let expected = [&[LOSS], &names[2..], &[GRADIENT_NORM, NON_FINITE]].concat();
        assert_eq!(statistics, expected, "{what}");
        assert_eq!(statistics.iter().collect::<HashSet<_>>().len(), statistics.len(), "{what}: {statistics:?}");
        let taken = ["event", "step", "images", "images_per_s"];
        assert!(!statistics.iter().any(|name| taken.contains(name)), "{what}: {taken:?} mean something else in events");
        config(loss, batch).validate().unwrap_or_else(|error| panic!("{what}: {error}"));
        let file = format!("src/losses/{}.rs", loss.name().replace('-', "_"));
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(&file).exists(), "{what}: there is no {file}");
    }
}

#[test]
fn every_statistic_of_a_loss_is_in_one_chart() {
    for (loss, _) in Loss::cases() {
        let charts = loss.charts();
        let mut shown: Vec<_> = charts.iter().flat_map(|chart| chart.lines).map(|line| line.statistic).collect();
        let mut named = loss.statistics();
        // A step with any is not reported.
        named.retain(|name| *name != NON_FINITE);
        shown.sort_unstable();
        named.sort_unstable();
        assert_eq!(shown, named, "{loss:?}");
        let names: HashSet<_> = charts.iter().map(|chart| chart.name).collect();
        assert_eq!(names.len(), charts.len(), "{loss:?}: two charts of one name");
        for chart in charts.iter().filter(|chart| chart.lines.len() > 1) {
            assert!(chart.lines.iter().all(|line| !line.label.is_empty()), "{loss:?}: which line is which?");
        }
    }
}

/// The columns have one order, in the loss, in the references and in the shaders.
#[test]
fn columns_of_the_triplet_loss_are_those_of_its_kernels() {
    use siamese::kernels::terms::{ACTIVE, COST, COUNT, D_AN, D_AP, TRIPLET};
    let names: Vec<_> = Triplet::FAMILY.terms.iter().map(|term| term.name).collect();
    let constants = [COST, COUNT, ACTIVE, D_AP, D_AN];
    assert_eq!(constants.map(|column| names[column]), ["cost", "count", "active", "d_ap", "d_an"]);
    assert_eq!(names.len(), TRIPLET);

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders/lib");
    let text = ["loss_terms", "triplet_terms"].map(|name| fs::read_to_string(folder.join(format!("{name}.wgsl"))));
    let text = text.map(Result::unwrap).concat();
    let found: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("const ")?.split_once(" = ")).collect();
    let columns = names.iter().enumerate().map(|(column, name)| (name.to_uppercase(), format!("{column}u;")));
    let expected: Vec<_> = columns.chain([("TERMS".to_owned(), format!("{TRIPLET}u;"))]).collect();
    assert_eq!(found, expected.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>());
}

/// Writes what the first step of a plan reads, the images at random.
fn ready(runner: &mut impl Runner, config: &Config, net: &Net, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let bytes: Vec<u8> = (0..IMAGES * net.pixels()).map(|_| rng.random()).collect();
    let rows: Vec<u32> = (0..config.batch.rows()).map(|_| rng.random_range(0..IMAGES as u32)).collect();
    let [images, row, step] = ["images", slots::ROWS, slots::STEP].map(|name| runner.plan().id(name));
    runner.write(images, pack(&bytes).as_slice()).unwrap();
    runner.write(row, rows.as_slice()).unwrap();
    runner.write(step, config.scalars(1).as_slice()).unwrap();
    if let Some(labels) = runner.plan().find(slots::LABELS) {
        let classes: Vec<u32> = rows.iter().map(|row| row % CLASSES as u32).collect();
        runner.write(labels, classes.as_slice()).unwrap();
    }
    Checkpoint::initial(config, net).restore(runner).unwrap();
    let head = Head::new(config, net.dims(), CLASSES).start(config);
    head.iter().for_each(|head| head.restore(runner).unwrap());
}

/// Loss and gradient of the first step, on the processor.
fn first_step(config: &Config) -> Stats {
    let (net, plan) = plan(config);
    let mut runner = cpu::Runner::<f32>::new(Arc::new(plan));
    ready(&mut runner, config, &net, 1);
    runner.run(0..runner.plan().calls().len()).unwrap();
    let stats = runner.read(runner.plan().id(slots::STATS)).unwrap();
    Stats::new(runner.plan().statistics(), stats.floats())
}

/// However a loss is set within its ranges, its numbers stay finite; where there is no end, far out.
#[test]
fn the_ends_of_every_range_are_finite() {
    for loss in Loss::all() {
        for Setting { name, range, .. } in loss.known_settings() {
            let ends = match *range {
                Range::Within(low, high) | Range::Between(low, high) => [low, high],
                Range::Positive => [1e-6, 1e6],
                Range::NotNegative => [0.0, 1e6],
                Range::Share => [0.0, 0.999],
            };
            for end in ends {
                let loss: Loss = format!("{} {name}={end}", loss.name()).parse().unwrap();
                let stats = first_step(&config(loss, Batch::Mined { labels: 3, images: 4, mining: Mining::SemiHard }));
                let numbers: Vec<_> = loss.statistics().into_iter().map(|name| (name, stats.get(name))).collect();
                assert!(numbers.iter().all(|(_, value)| value.is_finite()), "{loss}: {numbers:?}");
                assert_eq!(stats.get(NON_FINITE), 0.0, "{loss}: {numbers:?}");
            }
        }
    }
}

/// Every call of a step with each loss, on the arrays that it finds, within its kernel's tolerance.
#[test]
fn every_loss_on_a_device() {
    let device = crate::common::device();
    for ((loss, batch), seed) in Loss::cases().into_iter().zip(1..) {
        let config = config(loss, batch);
        let (net, plan) = plan(&config);
        let mut runner = gpu::Runner::new(device.clone(), Arc::new(plan.unshared())).unwrap();
        ready(&mut runner, &config, &net, seed);
        let reports = check::calls(&mut runner).unwrap();
        let wrong: Vec<_> = reports.iter().filter(|report| !report.passed()).map(ToString::to_string).collect();
        assert!(wrong.is_empty(), "{loss:?} {batch:?}: {wrong:?}");

        let stats = runner.read(runner.plan().id(slots::STATS)).unwrap();
        let stats = Stats::new(runner.plan().statistics(), stats.floats());
        assert!(stats.get(LOSS) > 0.0 && stats.get(GRADIENT_NORM) > 0.0, "{loss:?} {batch:?}: {stats:?}");
        assert_eq!(stats.get(NON_FINITE), 0.0, "{loss:?} {batch:?}");
    }
}

/// A batch of 10 × 400 images has 5.7e9 triplets, more than 32 bits count.
#[test]
fn more_triplets_than_32_bits_count() {
    let device = crate::common::device();
    let config = config(hinge(0.2), Batch::Mined { labels: 10, images: 400, mining: Mining::BatchAll });
    config.validate().unwrap();
    let triplets = config.loss.count(&config.batch, Count::Triplets);
    assert_eq!(triplets, 4000 * 399 * 3600);
    assert!(triplets > u64::from(u32::MAX));
    let (_, plan) = plan(&config);
    let statistics = plan.calls().iter().find(|call| call.at.name() == "statistics").unwrap();
    let mut arrays = check::inputs(&statistics.at, 1);
    // Every anchor has a million active triplets.
    let Array::Float(terms) = &mut arrays[0] else { panic!("terms are real numbers") };
    terms.chunks_mut(kernels::terms::TRIPLET).for_each(|terms| terms[kernels::terms::ACTIVE] = 1e6);
    for shader in statistics.at.shaders() {
        let probe = Probe::new(device.clone(), &statistics.at, &shader, &arrays).unwrap();
        probe.run(1).unwrap();
        let got = probe.read().unwrap();
        let rows = check::rows(&statistics.at, 1);
        let report = check::compare(&statistics.at, shader.name, &got, &check::expected(&statistics.at, rows, &arrays));
        assert!(report.passed(), "{report}");
        let stats = got[2].as_ref().expect("nothing outside the array is written");
        let active = f64::from(Stats::new(plan.statistics(), stats.floats()).get("active"));
        let expected = 4000.0 * 1e6 / triplets as f64;
        assert!((active - expected).abs() < 1e-5 * expected, "{active} of the triplets are active, not {expected}");
    }
}

#[test]
fn batches_that_a_loss_cannot_be_had_of_are_refused() {
    for (labels, images, words) in
        [(1, 8, "2 labels or more"), (8, 1, "2 images or more"), (10, 1000, "more images than the 8192")]
    {
        let batch = Batch::Mined { labels, images, mining: Mining::SemiHard };
        batch.validate().unwrap();
        let error = config(hinge(0.2), batch).validate().unwrap_err().to_string();
        assert!(error.contains(&format!("{labels}x{images}")) && error.contains(words), "{error}");
    }
    for batch in [
        Batch::Mined { labels: usize::MAX, images: 2, mining: Mining::SemiHard },
        Batch::Mined { labels: 0, images: 2, mining: Mining::SemiHard },
        Batch::Random { triplets: 0, positive: Positive::Any },
    ] {
        let error = batch.validate().unwrap_err().to_string();
        assert!(error.contains(&batch.to_string()), "{error}");
    }
    for margin in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let error = hinge(margin).validate().unwrap_err().to_string();
        assert!(error.contains("--margin") && error.contains(&margin.to_string()), "{error}");
    }
}

/// Those of the triplet loss are stored as they were before there was another; the others as their text.
#[test]
fn settings_have_one_form_in_files() {
    let text = r#"{"distance":"squared-euclidean","margin":{"hinge":0.2}}"#;
    assert_eq!(serde_json::to_string(&hinge(0.2)).unwrap(), text);
    assert_eq!(serde_json::from_str::<Loss>(text).unwrap(), hinge(0.2));
    let text = r#"{"distance":"mean-square","margin":{"soft":0.1}}"#;
    let soft = Triplet { distance: Distance::MeanSquare, margin: Margin::Soft(0.1) };
    assert_eq!(serde_json::from_str::<Loss>(text).unwrap(), soft.into());
    let error = serde_json::from_str::<Loss>(r#"{"distance":"mean-square"}"#).unwrap_err().to_string();
    assert!(error.contains("a loss as text"), "{error}");
    let error = serde_json::from_str::<Loss>(r#""supcon heat=1""#).unwrap_err().to_string();
    assert!(error.contains("`heat`") && error.contains("temperature"), "{error}");

    let loss: Loss = "multi-similarity beta=40".parse().unwrap();
    let text = r#""multi-similarity alpha=2 beta=40 base=0.5 epsilon=0.1""#;
    assert_eq!(serde_json::to_string(&loss).unwrap(), text);
    for (loss, _) in Loss::cases() {
        let text = serde_json::to_string(&loss).unwrap();
        assert_eq!(serde_json::from_str::<Loss>(&text).unwrap(), loss, "{text}");
    }
}

#[test]
fn every_loss_can_be_written_with_its_settings() {
    for loss in Loss::all() {
        assert_eq!(loss.name().parse::<Loss>().unwrap(), loss, "a name alone means the defaults");
        assert_eq!(loss.to_string().parse::<Loss>().unwrap(), loss);
        let known: Vec<_> = loss.known_settings().iter().map(|setting| setting.name).collect();
        for (name, value) in loss.settings() {
            assert!(known.contains(&name), "{loss}: `{name}` is none of {known:?}");
            // Whatever the number, it is taken or refused by name.
            for other in ["0", "-1", "0.25", "1e9", "NaN", "inf"] {
                match format!("{} {name}={other}", loss.name()).parse::<Loss>() {
                    Ok(changed) => {
                        assert!(changed.settings().contains(&(name, other.parse().unwrap())) || other == "0")
                    }
                    Err(error) => assert!(error.to_string().contains(name), "{loss}: {error}"),
                }
            }
            assert!(value.is_finite());
        }
    }
    for (text, words) in [
        ("", "``: no loss is called so; there are triplet, multi-similarity"),
        ("tripel", "`tripel`: no loss is called so; there are triplet"),
        ("circle gamma=80", "circle has no setting `gamma`; it has margin, scale"),
        ("circle margin", "a setting is a name and a number"),
        ("circle margin=wide", "`wide` is no number; margin is from 0 to 1, such as 0.4"),
        ("circle margin=0.1 margin=0.2", "`margin=0.2`: margin is set twice"),
        ("circle margin=2", "margin=2 is not from 0 to 1"),
        ("supcon temperature=0", "temperature=0 is not from 0.001 to 1000"),
    ] {
        let error = text.parse::<Loss>().unwrap_err().to_string();
        assert!(error.contains("--loss") && error.contains(words), "{error}");
    }
}

#[test]
fn losses_on_cosines_are_refused_without_unit_rows() {
    use siamese::train::check;
    let batch = mined(Mining::SemiHard);
    for loss in Loss::all() {
        let config = Config { spec: "dense6 relu dense4".to_owned(), ..config(loss, batch) };
        let net = Net::parse(&config.spec, [4, 4, 1]).unwrap();
        match check(&config, &net, CLASSES) {
            Ok(()) => assert!(!loss.needs_unit_rows(), "{loss}"),
            Err(error) => {
                assert!(loss.needs_unit_rows(), "{loss}");
                let error = error.to_string();
                assert!(error.contains(loss.name()) && error.contains("`l2`") && error.contains("dense4"), "{error}");
            }
        }
        check(&config, &Net::parse("dense4 l2", [4, 4, 1]).unwrap(), CLASSES).unwrap();
    }
}

#[test]
fn losses_on_pairs_refuse_batches_without_pairs() {
    for loss in Loss::all().into_iter().filter(Loss::is_on_pairs) {
        for (batch, words) in [
            (Batch::Random { triplets: 128, positive: Positive::Other }, "labels x images"),
            (Batch::Mined { labels: 1, images: 8, mining: Mining::SemiHard }, "2 labels or more"),
            (Batch::Mined { labels: 8, images: 1, mining: Mining::SemiHard }, "2 images or more"),
            (Batch::Mined { labels: 10, images: 1000, mining: Mining::SemiHard }, "more images than the 8192"),
        ] {
            let error = config(loss, batch).validate().unwrap_err().to_string();
            assert!(error.contains("--batch") && error.contains(words), "{loss}: {error}");
        }
    }
}

/// The columns have one order, in the losses, in the references and in the shaders.
#[test]
fn columns_of_the_losses_on_pairs_are_those_of_their_kernels() {
    use siamese::kernels::pair_terms::{ACTIVE, ALL_ACTIVE, D_AN, D_AP, SOME_ACTIVE};
    for loss in ["multi-similarity", "supcon", "nt-xent", "contrastive", "circle"] {
        let loss: Loss = loss.parse().unwrap();
        let names: Vec<_> = loss.terms().iter().map(|term| term.name).collect();
        assert_eq!([names[D_AP], names[D_AN]], ["d_ap", "d_an"], "{loss}");
        assert!([ALL_ACTIVE, SOME_ACTIVE].contains(&names.len()), "{loss}");
        assert!(names.get(ACTIVE).is_none_or(|name| *name == "active"), "{loss}");
        let stem = loss.name().replace('-', "_");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
        let text = fs::read_to_string(folder.join(format!("{stem}.wgsl"))).unwrap();
        assert!(text.contains(&format!("const TERMS = {}u;", names.len())), "{loss}");
        let library = fs::read_to_string(folder.join("lib/pairs.wgsl")).unwrap();
        let columns = [("D_AP", D_AP), ("D_AN", D_AN), ("ACTIVE", ACTIVE)];
        assert!(columns.iter().all(|(name, column)| library.contains(&format!("const {name} = {column}u;"))));
    }
}

// ------------------------------------------------------------------------------------------------------- diagnosis

fn health(config: &Config) -> Health {
    Health::new(config, &Net::parse(&config.spec, [28, 28, 1]).expect("a preset's network"))
}

/// What comes to light in two hundred steps with these figures each.
fn found(loss: Loss, batch: Batch, [cost, active, d_ap, d_an]: [f32; 4]) -> Vec<Ailment> {
    let mut health = health(&config(loss, batch));
    let stats = Stats::new(&loss.statistics(), &[cost, active, d_ap, d_an, 1.0, 0.0]);
    (1..=200)
        .filter_map(|step| health.look(&StepReport { step, images: step, stats: stats.clone(), waited: None }))
        .collect()
}

/// Where `bn` has few values a channel, the first report says so, and no other; of a single one nothing is trained.
#[test]
fn batches_too_small_for_their_normalisation_are_told() {
    let loss = PRESETS[0].config().loss;
    for (spec, batch, said) in [
        ("conv4 bn relu dense8 bn relu dense4 l2", 10, Some("`bn2` takes mean and variance of 30 values")),
        ("conv4 bn relu dense8 bn relu dense4 l2", 11, None),
        ("conv4 bn relu dense8 gn2 relu dense4 l2", 1, None),
    ] {
        let config = Config { spec: spec.to_owned(), ..config(loss, crate::common::random(batch)) };
        let net = Net::parse(spec, [6, 7, 1]).expect("a spec");
        let mut health = Health::new(&config, &net);
        let stats = Stats::new(&loss.statistics(), &[0.2, 0.9, 0.5, 0.7, 1.0, 0.0]);
        let mut look = |step| health.look(&StepReport { step, images: step, stats: stats.clone(), waited: None });
        let words = look(1).map(|ailment| ailment.words).unwrap_or_default();
        assert!(said.map_or(words.is_empty(), |said| words.contains(said)), "{spec}, {batch} triplets: {words}");
        assert!((2..50).all(|step| look(step).is_none()), "{spec}: said twice");
    }
    let net = Net::parse("conv4v bn dense4", [3, 3, 1]).expect("a spec");
    assert!(net.check_training(2).is_ok());
    let refused = net.check_training(1).expect_err("one value a channel").to_string();
    assert!(refused.contains("`bn1`") && refused.contains("single value"), "{refused}");
    assert!(net.check(1).is_ok(), "one image can be embedded");
}

/// A hundred reports of one kind bring one warning of the right kind, another hundred none.
#[test]
fn ailments_are_named_once() {
    let soft = Triplet { distance: Distance::SquaredEuclidean, margin: Margin::Soft(10.0) }.into();
    let random = Batch::Random { triplets: 128, positive: Positive::Other };
    let [semi_hard, batch_hard, batch_all] = [Mining::SemiHard, Mining::BatchHard, Mining::BatchAll].map(mined);
    for (loss, batch, stats, expected) in [
        (hinge(0.2), semi_hard, [0.2, 0.5, 1e-4, 1e-4], "collapsed"),
        (soft, batch_hard, [0.069, 0.5, 1e-4, 1e-4], "collapsed"),
        (hinge(0.2), random, [0.199, 0.5, 0.7, 0.701], "at the margin"),
        (hinge(0.2), random, [0.0, 0.0, 0.1, 1.5], "no triplets"),
        // The nearest negatives are nearer than the positives.
        (hinge(0.2), semi_hard, [0.0, 0.4, 0.8, 1.0], "no triplets"),
        // Every positive is its anchor.
        (hinge(0.2), semi_hard, [0.1, 0.1, 0.0, 0.4], "singletons"),
        (hinge(0.2), random, [0.0, 0.0, 0.0, 1.5], "singletons"),
        // All is learned.
        (hinge(0.2), semi_hard, [0.0, 0.0, 0.1, 1.5], ""),
        (hinge(0.2), batch_hard, [0.0, 0.0, 0.1, 1.5], ""),
        (hinge(0.2), batch_all, [0.0, 1e-5, 0.1, 1.5], ""),
        (hinge(0.2), semi_hard, [0.09, 0.1, 0.1, 1.5], ""),
    ] {
        let found = found(loss, batch, stats);
        let names: Vec<_> = found.iter().map(|ailment| ailment.name).collect();
        let expected: Vec<_> = Some(expected).filter(|name| !name.is_empty()).into_iter().collect();
        assert_eq!(names, expected, "{batch:?} {stats:?}");
        assert!(found.iter().all(|ailment| ailment.words.contains("--")), "a warning says what to change: {found:?}");
    }
}

#[test]
fn no_ailment_advises_what_is_so_already() {
    let options = [(Mining::SemiHard, "--mining semi-hard"), (Mining::BatchAll, "--mining batch-all")];
    for (mining, option) in options {
        for stats in [[0.2, 0.5, 1e-4, 1e-4], [0.0, 0.4, 0.8, 1.0], [0.199, 0.5, 0.7, 0.701], [0.1, 0.1, 0.0, 0.4]] {
            for ailment in found(hinge(0.2), mined(mining), stats) {
                assert!(!ailment.words.contains(option), "{mining:?}: {}", ailment.words);
            }
        }
    }
    let hard = found(hinge(0.2), mined(Mining::BatchHard), [0.2, 0.5, 1e-4, 1e-4]);
    assert!(hard[0].words.contains("--mining semi-hard"), "{hard:?}");
}

/// What comes to light in two hundred steps of a loss on pairs with these mean distances.
fn found_of_pairs(loss: Loss, d_ap: f32, d_an: f32) -> Vec<Ailment> {
    let mut health = health(&config(loss, mined(Mining::SemiHard)));
    let names = loss.statistics();
    let value = |name: &&str| match *name {
        "d_ap" => d_ap,
        "d_an" => d_an,
        NON_FINITE => 0.0,
        _ => 0.5,
    };
    let stats = Stats::new(&names, &names.iter().map(value).collect::<Vec<_>>());
    (1..=200)
        .filter_map(|step| health.look(&StepReport { step, images: step, stats: stats.clone(), waited: None }))
        .collect()
}

#[test]
fn every_loss_on_pairs_knows_when_it_gets_nowhere() {
    for loss in Loss::all().into_iter().filter(Loss::is_on_pairs) {
        for (d_ap, d_an, expected) in [
            (1e-4, 2e-4, Some(COLLAPSED)),
            (0.0, 0.4, Some("singletons")),
            (1.0, 1.001, Some("no order")),
            (0.3, 1.0, None),
        ] {
            let found = found_of_pairs(loss, d_ap, d_an);
            let names: Vec<_> = found.iter().map(|ailment| ailment.name).collect();
            assert_eq!(names, expected.into_iter().collect::<Vec<_>>(), "{loss}: {d_ap} {d_an}");
            assert!(
                found.iter().all(|ailment| ailment.words.contains("--")),
                "a warning says what to change: {found:?}"
            );
        }
    }
}

// --------------------------------------------------------------------------------- losses with a vector for each class

fn heads() -> impl Iterator<Item = Loss> {
    Loss::all().into_iter().filter(|loss| loss.tensors(4, CLASSES).iter().any(|tensor| tensor.kind == Kind::Trained))
}

/// What comes to light in two hundred steps in which the products with own and other classes are these.
fn found_of_head(loss: Loss, accuracy: f32, own: f32, other: f32) -> Vec<Ailment> {
    let mut health = health(&config(loss, mined(Mining::SemiHard)));
    let value = |name: &&str| match *name {
        "accuracy" => accuracy,
        "s_own" => own,
        "s_other" => other,
        NON_FINITE => 0.0,
        _ => 0.5,
    };
    let names = loss.statistics();
    let stats = Stats::new(&names, &names.iter().map(value).collect::<Vec<_>>());
    (1..=200)
        .filter_map(|step| health.look(&StepReport { step, images: step, stats: stats.clone(), waited: None }))
        .collect()
}

#[test]
fn every_loss_with_vectors_knows_a_collapse() {
    assert!(heads().count() > 4);
    for loss in heads() {
        let found = found_of_head(loss, 0.1, 0.5, 0.501);
        assert_eq!(found.iter().map(|ailment| ailment.name).collect::<Vec<_>>(), [COLLAPSED], "{loss}");
        assert!(found[0].words.contains("--"), "a warning says what to change: {found:?}");
        assert_eq!(found_of_head(loss, 0.9, 0.8, 0.1), [], "{loss}: nothing is wrong");
    }
}

#[test]
fn classes_whose_vectors_no_index_reaches_are_refused() {
    for loss in heads() {
        let config = |rows| config(loss, Batch::Mined { labels: rows, images: 1, mining: Mining::SemiHard });
        Head::new(&config(256), 64, 100_000).check(&config(256)).unwrap();
        for (dims, classes, rows) in [(512, 1 << 23, 2), (2, 1 << 24, 1 << 10)] {
            let error = Head::new(&config(rows), dims, classes).check(&config(rows)).unwrap_err().to_string();
            let words = [loss.name(), &classes.to_string(), "--loss"];
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
    }
}

#[test]
fn vectors_that_no_binding_holds_are_refused() {
    let device = crate::common::device();
    for loss in heads() {
        let config = config(loss, Batch::Mined { labels: 2, images: 1, mining: Mining::SemiHard });
        let net = Net::parse(&config.spec, [4, 4, 1]).unwrap();
        let source = Source { slot: "images".to_owned(), images: 2, scale: config.scale(), classes: 1 << 28 };
        let error = device.fits(&training_plan(&net, &source, &config)).unwrap_err();
        let hint = error.hint().expect("what makes it smaller");
        assert!(hint.contains("`--loss` without a vector for each class"), "{loss}: {error}: {hint}");
    }
}

#[test]
fn memories_are_for_pairs_and_hold_a_batch() {
    for loss in Loss::all() {
        let config = |memory| Config { memory, ..config(loss, mined(Mining::SemiHard)) };
        let refused = |memory| config(memory).validate().unwrap_err().to_string();
        if !loss.is_on_pairs() {
            assert!(refused(4096).contains("pairs no images; multi-similarity"), "{}", refused(4096));
            continue;
        }
        config(4096).validate().unwrap();
        for memory in [319, usize::MAX] {
            let error = refused(memory);
            assert!(error.contains("--memory") && error.contains("from 320"), "{error}");
        }
        let (most, head) = (config(1 << 24), |memory| Head::new(&config(memory), 4, CLASSES));
        most.validate().unwrap();
        let error = head(1 << 24).check(&most).unwrap_err().to_string();
        assert!(error.contains("--memory: 16777216 embeddings") && error.contains("320 images"), "{error}");
        head(1 << 23).check(&config(1 << 23)).unwrap();
        let file = serde_json::to_string(&config(4096)).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&file).unwrap(), config(4096));
    }
}

#[test]
fn proxy_anchor_refuses_triplets_and_takes_one_image_of_each_class() {
    let loss: Loss = "proxy-anchor".parse().unwrap();
    let error =
        config(loss, Batch::Random { triplets: 8, positive: Positive::Any }).validate().unwrap_err().to_string();
    assert!(error.contains("--batch") && error.contains("labels x images"), "{error}");
    config(loss, Batch::Mined { labels: 8, images: 1, mining: Mining::SemiHard }).validate().unwrap();
}
