//! Training in parts: frozen tensors, rates and decay by tensor, weights of another network to start from.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use siamese::checkpoint::{Checkpoint, Precision, Taken};
use siamese::config::{Config, Group, PRESETS, Update};
use siamese::cpu;
use siamese::data::Dataset;
use siamese::feed::Residence;
use siamese::names::Names;
use siamese::net::Net;
use siamese::plan::Role;
use siamese::sampler::{Batch, Mining};
use siamese::siamese::{Source, training_plan};
use siamese::train::Trainer;

use crate::common;

static NEVER: AtomicBool = AtomicBool::new(false);
const MNIST: [usize; 3] = [28, 28, 1];

fn images() -> Dataset {
    common::mnist().train.take(300)
}

fn config() -> Config {
    let Update::Adam { beta1, beta2, epsilon, .. } = Update::ADAM;
    Config {
        spec: "conv4 relu pool add( conv4 relu conv4 | ) relu pool dense8 relu dense6 l2".to_owned(),
        batch: Batch::Mined { labels: 5, images: 6, mining: Mining::BatchAll },
        update: Update::Adam { beta1, beta2, epsilon, weight_decay: 0.0 },
        ..PRESETS[0].config()
    }
}

/// A checkpoint of a fresh training, and after `steps`.
fn trained(config: &Config, steps: u64) -> [Checkpoint; 2] {
    let net = Net::of(config, MNIST).unwrap_or_else(|error| panic!("{error}"));
    let start = Checkpoint::initial(config, &net);
    let mut trainer =
        Trainer::new(&start, &images(), Residence::Device, |plan| Ok(cpu::Runner::<f32>::new(plan))).unwrap();
    trainer.run(steps, &NEVER, |_| ()).unwrap();
    let end = trainer.checkpoint().unwrap();
    [start, end]
}

/// The names of the tensors that differ.
fn changed([before, after]: &[Checkpoint; 2]) -> Vec<String> {
    let pairs = before.tensors().unwrap().into_iter().zip(after.tensors().unwrap());
    pairs.filter(|((_, before), (_, after))| before != after).map(|((tensor, _), _)| tensor.name).collect()
}

#[test]
fn frozen_tensors_stay_and_cost_nothing() {
    let all = changed(&trained(&config(), 2));
    assert_eq!(all.len(), 10, "{all:?}");
    let frozen = Config { freeze: Some(Names("conv1-2 dense2.bias".to_owned())), ..config() };
    let run = trained(&frozen, 3);
    let kept = |name: &String| !["conv1.", "conv2.", "dense2.bias"].iter().any(|frozen| name.starts_with(frozen));
    assert_eq!(changed(&run), all.into_iter().filter(kept).collect::<Vec<_>>());

    // No gradient, no moment, and the way back ends in front of the join's second convolution.
    let net = Net::of(&frozen, MNIST).unwrap();
    let source = Source { slot: "images".to_owned(), images: 10, scale: frozen.scale(), classes: 10 };
    let plan = training_plan(&net, &source, &frozen);
    let whole = training_plan(&Net::parse(&frozen.spec, MNIST).unwrap(), &source, &config());
    for role in [Role::Gradient, Role::Moment, Role::Parameter] {
        assert!(plan.bytes_of(role) < whole.bytes_of(role), "{role:?}");
    }
    assert!(plan.find("conv2.dx").is_none() && plan.find("conv1.dz").is_none() && plan.find("pool1.dx").is_none());
    assert!(plan.find("conv3.weight.gradient").is_some() && plan.find("conv2.weight.gradient").is_none());
    let names: Vec<_> = plan.calls().iter().map(|call| call.at.name()).collect();
    assert_eq!(names.iter().filter(|&&name| name == "conv2d_dw").count(), 1, "{names:?}");
    assert_eq!(names.iter().filter(|&&name| name == "conv2d_dx").count(), 0, "{names:?}");
}

#[test]
fn a_checkpoint_knows_what_is_frozen() {
    let folder = tempfile::tempdir().unwrap();
    let frozen = Config { freeze: Some(Names("conv*".to_owned())), average: Some(0.9), ..config() };
    let [start, whole] = trained(&frozen, 4);
    let data = images();
    let mut trainer = Trainer::new(&start, &data, Residence::Device, |plan| Ok(cpu::Runner::<f32>::new(plan))).unwrap();
    trainer.run(2, &NEVER, |_| ()).unwrap();
    let file = folder.path().join("half.safetensors");
    trainer.checkpoint().unwrap().save(&file, Precision::F32).unwrap();
    let half = Checkpoint::load(&file).unwrap();
    assert_eq!(half.config.freeze, frozen.freeze);
    let mut trainer = Trainer::new(&half, &data, Residence::Device, |plan| Ok(cpu::Runner::<f32>::new(plan))).unwrap();
    trainer.run(4, &NEVER, |_| ()).unwrap();
    let end = trainer.checkpoint().unwrap();
    assert_eq!(changed(&[whole.clone(), end.clone()]), Vec::<String>::new());
    assert!(end.moments == whole.moments && end.average == whole.average);
}

#[test]
fn what_cannot_be_frozen_is_refused() {
    for (names, words) in [("conv9", "`conv9`"), ("*", "nothing is left"), ("", "no name")] {
        let error = Net::of(&Config { freeze: Some(Names(names.to_owned())), ..config() }, MNIST).unwrap_err();
        assert!(error.to_string().contains(words) && error.to_string().contains("--freeze"), "{error}");
    }
}

#[test]
fn groups_have_their_rates() {
    let group = |names: &str, rate, decay| Group { names: Names(names.to_owned()), rate, decay };
    // A rate of 0 leaves a tensor as it is; the last group that fits wins.
    let groups = vec![group("conv* dense1", Some(0.0), None), group("conv2.weight", Some(1.0), None)];
    let some = changed(&trained(&Config { groups, ..config() }, 2));
    assert_eq!(some, ["conv2.weight", "dense2.weight", "dense2.bias"]);
    // All ones are the plain optimiser, to the bit.
    let [_, plain] = trained(&config(), 3);
    let [_, ones] = trained(&Config { groups: vec![group("*", Some(1.0), Some(0.0))], ..config() }, 3);
    assert!(plain.parameters == ones.parameters);
}

#[test]
fn vectors_have_no_decay_unless_a_group_says_so() {
    let Update::Adam { beta1, beta2, epsilon, .. } = Update::ADAM;
    let mut config = config();
    config.update = Update::Adam { beta1, beta2, epsilon, weight_decay: 0.1 };
    assert_eq!(config.rates("conv1.weight", 4), [1.0, 0.1]);
    assert_eq!(config.rates("conv1.bias", 1), [1.0, 0.0]);
    config.groups = vec!["*.bias decay=0.2".parse().unwrap(), "conv1 rate=0.5".parse().unwrap()];
    assert_eq!(config.rates("conv1.bias", 1), [0.5, 0.2]);
    assert_eq!(config.rates("dense1.weight", 2), [1.0, 0.1]);
    config.validate().unwrap();
    for (text, words) in [
        ("conv1", "`conv1`: a group is names and settings, such as conv1-8"),
        ("rate=1", "`rate=1`: a group is names and settings, such as conv1-8"),
        ("conv1 speed=2", "`speed=2`: a group has no setting `speed`; it has rate, decay"),
        ("conv1 rate=x", "`rate=x`: `x` is no number; rate is 0 or a positive number, such as 1"),
        ("conv1 rate=-1", "rate=-1 is not 0 or a positive number"),
        ("conv1 decay=1", "decay=1 is not from 0 to below 1"),
    ] {
        let error = text.parse::<Group>().unwrap_err().to_string();
        assert!(error.starts_with("--group: ") && error.contains(words), "{error}");
    }
    config.groups = vec!["dense1-9 rate=0.5".parse().unwrap()];
    let start = Checkpoint::initial(&config, &Net::of(&config, MNIST).unwrap());
    assert!(Trainer::new(&start, &images(), Residence::Device, |plan| Ok(cpu::Runner::<f32>::new(plan))).is_ok());
    let config = Config { groups: vec!["conv7 rate=0.5".parse().unwrap()], ..config };
    let start = Checkpoint { config, ..start };
    let make = |plan: Arc<_>| Ok(cpu::Runner::<f32>::new(plan));
    let error = Trainer::new(&start, &images(), Residence::Device, make).err().expect("a group that fits nothing");
    assert!(error.to_string().contains("`conv7`"), "{error}");
}

#[test]
fn weights_that_fit_are_taken() {
    let [_, model] = trained(&config(), 2);
    let other = Config {
        spec: "conv4 relu pool add( conv4 relu conv4 | ) relu pool dense8 relu dense5 dense3 l2".to_owned(),
        average: Some(0.9),
        ..config()
    };
    let net = Net::of(&other, MNIST).unwrap();
    let fresh = Checkpoint::initial(&other, &net);
    let mut start = fresh.clone();
    let Taken { missing, misshapen, left } = start.take(&model.named("model".as_ref()).unwrap()).unwrap();
    assert_eq!(missing, ["dense3.weight", "dense3.bias"]);
    let names: Vec<_> = misshapen.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["dense2.weight", "dense2.bias"]);
    assert_eq!((&misshapen[0].1[..], &misshapen[0].2[..]), (&[6, 8][..], &[5, 8][..]));
    assert!(left.is_empty());
    for (tensor, values) in start.tensors().unwrap() {
        let source = if tensor.name.as_str() < "dense2" { &model } else { &fresh };
        let expected = source.tensors().unwrap().into_iter().find(|(own, _)| own.name == tensor.name).unwrap().1;
        assert_eq!(values, expected, "{}", tensor.name);
    }
    assert_eq!(start.average.as_ref(), Some(&start.parameters), "the average begins there too");
    assert_eq!(start.moments.as_ref().unwrap()[0].len(), net.arena);
}
