//! Steps that are cut into shares make the same bits whoever computes which share.

use std::sync::Arc;
use std::thread;

use siamese::checkpoint::Checkpoint;
use siamese::config::Config;
use siamese::crew::crew;
use siamese::data::Dataset;
use siamese::error::{Error, Result};
use siamese::feed::Residence;
use siamese::losses::LOSS;
use siamese::plan::Plan;
use siamese::run::Runner;
use siamese::sampler::{Augment, Batch, Mining};
use siamese::train::Trainer;
use siamese::{cpu, gpu};

use crate::common::recipes;
use crate::train::{NEVER, assert_same, bits, branched, fresh, images, normalised, small, train};

/// Batches that four shares divide.
fn cut(config: Config) -> Config {
    let batch = match config.batch {
        Batch::Mined { mining, .. } => Batch::Mined { labels: 6, images: 4, mining },
        batch => batch,
    };
    Config { batch, shares: 4, ..config }
}

/// What every way through a training is trained by.
fn all() -> Vec<(&'static str, Config)> {
    let normalised = normalised();
    let mined = Batch::Mined { labels: 6, images: 4, mining: Mining::SemiHard };
    let again = Config { again: true, batch: mined, ..branched() };
    let warped = Config { augment: Augment::ELASTIC, batch: mined, ..normalised.clone() };
    let more = [("normalised", normalised), ("warped", warped), ("again", again)];
    recipes(&small()).into_iter().chain(more).map(|(name, config)| (name, cut(config))).collect()
}

/// Trains up to a step on so many ranks, each on a runner of its own; answers what each has then.
fn on_ranks<R: Runner>(
    ranks: usize,
    start: &Checkpoint,
    data: &Dataset,
    residence: Residence,
    until: u64,
    make: impl Fn(Arc<Plan>) -> Result<R> + Sync,
) -> Vec<Checkpoint> {
    let make = &make;
    thread::scope(|scope| {
        let rank = |own| {
            let leads = siamese::crew::Crew::rank(&own) == 0;
            let mut trainer = Trainer::of_crew(start, data, residence, Box::new(own), make).unwrap();
            if leads {
                trainer.run(until, &NEVER, |_| ()).unwrap();
                trainer.dismiss().unwrap();
            } else {
                trainer.follow().unwrap();
            }
            trainer.checkpoint().unwrap()
        };
        let ranks: Vec<_> = crew(ranks).into_iter().map(|own| scope.spawn(move || rank(own))).collect();
        ranks.into_iter().map(|rank| rank.join().expect("no rank panics")).collect()
    })
}

fn on_cpu(plan: Arc<Plan>) -> Result<cpu::Runner<f32>> {
    Ok(cpu::Runner::new(plan))
}

/// One, two and four ranks end with the same weights, moments, states and heads, with every loss and way of mining, and
/// none of them sees anything but a share.
#[test]
fn ranks_make_the_same_bits() {
    let data = images(400);
    for (name, config) in all() {
        let start = fresh(&config);
        let end = on_ranks(1, &start, &data, Residence::Device, 5, on_cpu).remove(0);
        assert!(bits(&end.parameters) != bits(&start.parameters), "{name}: nothing was trained");
        for ranks in [2, 4] {
            for (rank, own) in on_ranks(ranks, &start, &data, Residence::Device, 5, on_cpu).iter().enumerate() {
                assert_same(&format!("{name}: rank {rank} of {ranks}"), own, &end);
            }
        }
    }
}

/// Where shares are no power of two as well.
#[test]
fn uneven_shares_make_the_same_bits() {
    let data = images(400);
    for (shares, all) in [(3, &[3][..]), (6, &[3, 6]), (9, &[9])] {
        let start = fresh(&Config { shares, ..normalised() });
        let end = on_ranks(1, &start, &data, Residence::Device, 4, on_cpu).remove(0);
        for &ranks in all {
            let own = on_ranks(ranks, &start, &data, Residence::Device, 4, on_cpu).remove(0);
            assert_same(&format!("{shares} shares on {ranks} ranks"), &own, &end);
        }
    }
}

/// Nor does it matter how many threads a rank has, and where its images lie.
#[test]
fn threads_and_residence_do_not_matter() {
    let data = images(400);
    let config = cut(Config { augment: Augment::ELASTIC, ..normalised() });
    let start = fresh(&config);
    let [host, device] = [Residence::Host { workers: 2 }, Residence::Device];
    let runs = [(1, 1, device), (3, 1, device), (2, 2, host), (1, 4, host)].map(|(threads, ranks, residence)| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| on_ranks(ranks, &start, &data, residence, 5, on_cpu).remove(0))
    });
    runs[1..].iter().for_each(|run| assert_same("another way", run, &runs[0]));
}

/// A run of four ranks that was stopped and goes on with two is the uninterrupted one, of one.
#[test]
fn a_run_goes_on_with_other_ranks() {
    let data = images(400);
    let start = fresh(&cut(Config { steps: 9, ..normalised() }));
    let whole = on_ranks(1, &start, &data, Residence::Device, 9, on_cpu).remove(0);
    let half = on_ranks(4, &start, &data, Residence::Device, 4, on_cpu).remove(0);
    assert_eq!(half.step, 4);
    let rest = on_ranks(2, &half, &data, Residence::Device, 9, on_cpu).remove(0);
    assert_same("stopped", &rest, &whole);
}

/// On a device as well, whose memory is made once.
#[test]
fn ranks_make_the_same_bits_on_a_device() {
    let device = &crate::common::device();
    let make = |plan| gpu::Runner::new(device.clone(), plan);
    let (data, start) = (images(400), fresh(&cut(normalised())));
    let [one, two] = [1, 2].map(|ranks| on_ranks(ranks, &start, &data, Residence::Device, 5, make).remove(0));
    assert_same("two ranks", &two, &one);

    let mut trainer = Trainer::new(&start, &data, Residence::Device, make).unwrap();
    train(&mut trainer, 2);
    let made = device.made();
    train(&mut trainer, 6);
    assert_eq!(device.made(), made, "made between step 2 and step 6");
}

/// Without batch normalisation, whose moments are those of a share, the gradient of a batch is the same however it is
/// cut, but for the rounding of sums.
#[test]
fn shares_make_the_step_of_the_whole_batch() {
    let data = images(400);
    for (name, config) in all() {
        let config = Config { spec: config.spec.replace(" bn", ""), clip: None, ..config };
        let step = |shares| {
            let start = fresh(&Config { shares, ..config.clone() });
            let mut trainer = Trainer::new(&start, &data, Residence::Device, on_cpu).unwrap();
            let reports = train(&mut trainer, 1);
            (reports[0].stats.get(LOSS), trainer.checkpoint().unwrap().moments.unwrap())
        };
        let ((whole, [of_whole, _]), (cut, [of_shares, _])) = (step(1), step(4));
        assert!((whole - cut).abs() <= 1e-6 * whole.abs(), "{name}: a loss of {cut}, not {whole}");
        let length = |values: &mut dyn Iterator<Item = f32>| values.map(|value| f64::from(value).powi(2)).sum::<f64>();
        let apart =
            length(&mut of_whole.iter().zip(&of_shares).map(|(a, b)| a - b)) / length(&mut of_whole.iter().copied());
        assert!(apart.sqrt() < 1e-5, "{name}: gradients {:.1e} apart", apart.sqrt());
    }
}

/// What one rank has and another has not is told to all of them.
#[test]
fn another_run_is_refused() {
    let data = images(400);
    let config = cut(small());
    let refusals = |others: Checkpoint, their_data: &Dataset| {
        thread::scope(|scope| {
            let start = fresh(&config);
            let rank = |own: siamese::crew::Threads, start: Checkpoint, data: Dataset| {
                let trainer = Trainer::of_crew(&start, &data, Residence::Device, Box::new(own), on_cpu);
                trainer.err().expect("they differ").to_string()
            };
            let mut ranks = crew(2).into_iter();
            let [first, second] = [ranks.next().unwrap(), ranks.next().unwrap()];
            let own = data.clone();
            let first = scope.spawn(move || rank(first, start, own));
            let second = scope.spawn(move || rank(second, others, their_data.clone()));
            [first, second].map(|rank| rank.join().unwrap())
        })
    };
    let told =
        |what: &str| [format!("rank 1: it has {what} than rank 0"), format!("rank 1: it has {what} than rank 0")];
    let settings = fresh(&Config { learning_rate: 0.5, ..config.clone() });
    assert_eq!(refusals(settings, &data), told("other settings"));
    assert_eq!(refusals(fresh(&config), &images(300)), told("other labels"));
    let mut weights = fresh(&config);
    weights.parameters[0] += 1.0;
    assert_eq!(refusals(weights, &data), told("other weights"));

    // Three ranks cannot have four shares, nor a batch of 72 rows five.
    let three = Box::new(crew(3).remove(0));
    let error = Trainer::of_crew(&fresh(&config), &data, Residence::Device, three, on_cpu).err().unwrap();
    assert!(matches!(&error, Error::Config { setting, .. } if setting == "--shares"), "{error}");
    let error = Config { shares: 5, ..config }.validate().unwrap_err();
    assert_eq!(error.to_string(), "--shares: the 72 images of a batch cannot be cut into 5 equal shares");
}

/// Where the numbers of a share left the finite ones is found as in a step of one piece.
#[test]
fn what_a_share_makes_is_traced() {
    let config = Config { learning_rate: 1e38, ..cut(small()) };
    let (data, start) = (images(400), fresh(&config));
    let mut trainer = Trainer::new(&start, &data, Residence::Device, on_cpu).unwrap();
    assert!(matches!(trainer.run(20, &NEVER, |_| ()), Err(Error::Diverged { step: 2, first: None })));
    let found = trainer.trace(&start, 2, &NEVER).unwrap();
    let mut whole = Trainer::new(&fresh(&Config { shares: 1, ..config }), &data, Residence::Device, on_cpu).unwrap();
    whole.run(20, &NEVER, |_| ()).unwrap_err();
    assert!(found.is_some() && found == whole.trace(&start, 2, &NEVER).unwrap(), "{found:?}");
}
