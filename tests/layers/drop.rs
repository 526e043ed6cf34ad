//! Dropout as a training meets it: how much it leaves out, and that it leaves out other values in each row, layer and
//! step. (What it computes is held against PyTorch by `tests/layers/twins.rs`.)

use std::sync::Arc;

use siamese::config::{Config, PRESETS};
use siamese::cpu;
use siamese::kernels::Scale;
use siamese::net::Net;
use siamese::plan::{Plan, Role, Section};
use siamese::run::Runner;
use siamese::sampler::{Augment, Sampler};
use siamese::siamese::{Source, embedding_slot, inference_plan, slots, training_plan};

const SPEC: &str = "drop0.6 drop0.6 dense4 drop0.1 l2";
const ROWS: usize = 6;
const INPUT: [usize; 3] = [40, 25, 3];

fn source() -> Source {
    Source { slot: "images".to_owned(), images: ROWS, scale: Scale::by(1.0), classes: 2 }
}

/// Which values of ones the first two layers leave out in a step, as a training draws its keys.
fn left_out(plan: &Arc<Plan>, seed: u64, step: u64) -> [Vec<bool>; 2] {
    let batch = crate::common::random(ROWS / 3);
    let sampler = Sampler::new(&[0, 0, 0, 1, 1, 1], seed, batch).unwrap();
    let mut runner = cpu::Runner::<f64>::new(plan.clone());
    runner.write(plan.id(slots::KEYS), sampler.warps(step, &Augment::NONE, [40, 25]).keys.as_slice()).unwrap();
    runner.set(plan.id("batch"), &vec![1.0; plan.slot(plan.id("batch")).len()]);
    let calls = plan.section(Section::Forward);
    runner.run(calls.start..calls.start + 1).unwrap();
    let first = runner.get(plan.id("drop1")).floats().to_vec();
    assert!(first.iter().all(|&value| value == 0.0 || (value - 2.5).abs() < 1e-6), "kept values are 1 / 0.4");
    runner.set(plan.id("drop1"), &vec![1.0; first.len()]);
    runner.run(calls.start + 1..calls.start + 2).unwrap();
    let second = runner.get(plan.id("drop2")).floats().to_vec();
    [first, second].map(|values| values.iter().map(|&value| value == 0.0).collect())
}

#[test]
fn a_share_is_left_out_and_another_each_time() {
    let net = Net::parse(SPEC, INPUT).unwrap();
    let config = Config { spec: SPEC.to_owned(), batch: crate::common::random(ROWS / 3), ..PRESETS[0].config() };
    let plan = Arc::new(training_plan(&net, &source(), &config).unshared());
    let [first, second] = left_out(&plan, 1, 5);
    assert_eq!([first.clone(), second.clone()], left_out(&plan, 1, 5), "seed and step decide");
    // Of 3,000 values a share of 0.6 has a deviation of 0.009, and so has the share of pairs that agree: 0.52.
    let share = |values: &[bool]| values.iter().filter(|&&left| left).count() as f64 / values.len() as f64;
    let agree = |a: &[bool], b: &[bool]| a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / a.len() as f64;
    let rows: Vec<&[bool]> = first.chunks(net.pixels()).chain(second.chunks(net.pixels())).collect();
    let [other_step, _] = left_out(&plan, 1, 6);
    let [other_seed, _] = left_out(&plan, 2, 5);
    let others = other_step.chunks(net.pixels()).chain(other_seed.chunks(net.pixels()));
    let rows: Vec<_> = rows.into_iter().chain(others).collect();
    for (place, row) in rows.iter().enumerate() {
        assert!((share(row) - 0.6).abs() < 0.045, "row {place}: {} are left out", share(row));
        for (other, values) in rows.iter().enumerate().take(place) {
            let apart = agree(row, values) - 0.52;
            assert!(apart.abs() < 0.045, "rows {place} and {other} agree in {}", 0.52 + apart);
        }
    }
}

/// Where nothing is trained it is not there, and it keeps nothing for the way back.
#[test]
fn nothing_is_left_of_it_in_an_inference() {
    for spec in [SPEC, "drop0.5 conv4 drop0.1 bn mean dense3 drop0.5"] {
        let net = Net::parse(spec, INPUT).unwrap();
        let plan = inference_plan(&net, &source(), ROWS, slots::PARAMETERS);
        assert!(plan.calls().iter().all(|call| call.at.name() != "drop") && plan.find(slots::KEYS).is_none(), "{plan}");
        assert_eq!(plan.slot(plan.id(embedding_slot(&net, &plan))).dims, [ROWS, net.dims()], "{spec}");
        let config = Config { spec: spec.to_owned(), batch: crate::common::random(ROWS / 3), ..PRESETS[0].config() };
        let plan = training_plan(&net, &source(), &config);
        assert_eq!(embedding_slot(&net, &plan), net.nodes.last().unwrap().name);
        let integers = plan.slots().iter().filter(|slot| slot.element == siamese::kernel::Element::U32);
        assert!(integers.clone().all(|slot| slot.role == Role::Input), "{plan}");
    }
}

#[test]
fn a_share_of_all_is_refused() {
    for (word, reason) in [("drop1", "leaves nothing"), ("drop1.5", "above 0, up to 1"), ("drop", "needs a share")] {
        let error = Net::parse(&format!("dense4 {word}"), INPUT).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains(word), "{error}");
    }
}
