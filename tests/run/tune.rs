//! The choice among shaders: by rule, by measuring, by the user.

use std::sync::Arc;

use siamese::Error;
use siamese::config::{Config, PRESETS};
use siamese::gpu::{self, Choices, variant};
use siamese::net::Net;
use siamese::plan::Plan;
use siamese::sampler::{Batch, Mining};
use siamese::siamese::{Source, inference_plan, slots, training_plan};

fn plan() -> Plan {
    let net = Net::parse("conv8 relu pool dense16 l2", [12, 12, 1]).unwrap();
    let source = Source { slot: "images".to_owned(), images: 50, scale: PRESETS[0].config().scale(), classes: 1 };
    inference_plan(&net, &source, 20, slots::PARAMETERS)
}

#[test]
fn what_was_measured_is_remembered_and_taken() {
    let device = crate::common::device();
    let plan = plan();
    let mut known = Choices::default();
    let mut heard = Vec::new();
    let mut total = 0;
    // A slow machine needs several starts.
    let mut first = device.tune(&plan, &mut known, |done, of| heard.push((done, of))).unwrap();
    while first.left > 0 {
        let more = device.tune(&plan, &mut known, |_, _| ()).unwrap();
        assert!(more.measured > 0, "a start gets no further: {more:?}");
        total += first.measured;
        first = more;
    }
    total += first.measured;
    let several = plan.distinct().iter().filter(|at| device.features().candidates(at).len() > 1).count();
    assert_eq!((first.calls, total), (several, several));
    assert_eq!(heard.last(), Some(&(several, several)));

    let text = serde_json::to_string(&known).unwrap();
    let mut read: Choices = serde_json::from_str(&text).unwrap();
    assert_eq!(read, known);
    let fresh = crate::common::device();
    let again = fresh.tune(&plan, &mut read, |done, of| assert_eq!(done, of, "nothing is to be measured")).unwrap();
    assert_eq!((again.measured, again.left), (0, 0));
    for at in plan.distinct() {
        assert_eq!(fresh.variant(&at).name, device.variant(&at).name, "{at}");
    }

    // Another text, another time.
    let mut other: Choices = serde_json::from_str(&text.replacen("\"digest\":\"", "\"digest\":\"0", 1)).unwrap();
    assert_eq!(fresh.tune(&plan, &mut other, |_, _| ()).unwrap().measured, 1);
}

#[test]
fn the_rule_gives_way_to_a_choice_and_both_to_the_user() {
    let device = crate::common::device();
    let plan = plan();
    let at = plan.distinct().into_iter().find(|at| at.name() == "dense").expect("a dense layer");
    assert_eq!(device.variant(&at).name, variant(&device.features(), &at).name);
    device.choose(&at.to_string(), "dense.block");
    assert_eq!(device.variant(&at).name, "dense.block");
    device.choose(&at.to_string(), "of another device");
    assert_eq!(device.variant(&at).name, variant(&device.features(), &at).name);
    device.want(&plan, &["dense".to_owned()]).unwrap();
    assert_eq!(device.variant(&at).name, "dense");
    for (name, words) in [("dense_dx", "no call"), ("nonsense", "no shader")] {
        let error = device.want(&plan, &[name.to_owned()]).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(words), "{error}");
    }
    // A runner takes what the device has settled on.
    device.want(&plan, &["dense.block".to_owned()]).unwrap();
    let before = device.made().pipelines;
    siamese::gpu::Runner::new(device.clone(), Arc::new(plan)).unwrap();
    assert!(device.made().pipelines > before);
}

/// What a device cannot hold is an error with a remedy that helps, before anything is measured or made.
#[test]
fn what_does_not_fit_is_said_before_tuning() {
    let device = crate::common::device();
    let allowed = device.report().max_binding.min(device.report().max_buffer).min(u64::from(u32::MAX));
    let net = Net::parse("dense4 l2", [28, 28, 1]).unwrap();
    let images = (allowed / 784) as usize + 1;
    let rows = (allowed as f64 / 4.0).sqrt() as usize + 1;
    let config = |rows| Config {
        batch: Batch::Mined { labels: 2, images: rows / 2 + 1, mining: Mining::BatchHard },
        ..PRESETS[0].config()
    };
    let source = |images| Source {
        slot: "digits.images".to_owned(),
        images,
        scale: siamese::kernels::Scale::by(1.0),
        classes: 1,
    };
    for (plan, array, remedy) in [
        (training_plan(&net, &source(images), &config(8)), "`digits.images`", "--input"),
        (training_plan(&net, &source(1), &config(rows)), "`distance`", "--batch"),
    ] {
        let plan = Arc::new(plan);
        let tuned = device.tune(&plan, &mut Choices::default(), |_, _| panic!("nothing is measured"));
        for error in [tuned.err(), gpu::Runner::new(device.clone(), plan).err()] {
            let error = error.expect("an array that is too large");
            let (words, hint) = (error.to_string(), error.hint().expect("a hint"));
            assert!(matches!(error, Error::Limit { .. }) && words.contains(array), "{words}");
            assert!(hint.contains(remedy), "{hint}");
        }
    }
}
