//! Normalisation where nothing is trained. (What it computes, in training too, is held against PyTorch by
//! `tests/layers/twins.rs`.)

use siamese::kernel::Kernel;
use siamese::kernels::{Fold, Normalise, Scale};
use siamese::net::Net;
use siamese::plan::{Plan, Section};
use siamese::siamese::{Source, embedding_slot, inference_plan, slots};

fn plan(spec: &str) -> (Net, Plan) {
    let net = Net::parse(spec, [10, 8, 3]).unwrap();
    let source = Source { slot: "images".to_owned(), images: 3, scale: Scale::by(1.0), classes: 1 };
    let plan = inference_plan(&net, &source, 3, slots::PARAMETERS);
    (net, plan)
}

fn count(plan: &Plan, section: Section, name: &str) -> usize {
    plan.calls()[plan.section(section)].iter().filter(|call| call.at.name() == name).count()
}

/// Conv or dense and the `bn` of its outputs are one call. Not so behind an activation or a pool, where others take the
/// outputs too, and what each image has moments of its own for.
#[test]
fn is_folded_into_the_layer_before_where_it_can_be() {
    for (spec, folded, apart) in [
        ("conv4 bn relu conv4s2 bn dense8 bn relu dense5 l2", 3, 0),
        ("conv4 relu bn pool bn dense5", 0, 2),
        ("conv4 gn2 relu conv6 ln dense5 bn", 1, 2),
        ("conv4 add( bn relu conv4 bn | bn ) relu dense5", 1, 2),
        ("conv4 bn add( conv4 bn | ) relu dense5", 2, 0),
    ] {
        let (net, plan) = plan(spec);
        assert_eq!(count(&plan, Section::Prepare, Fold::NAME), folded, "{spec}: {plan}");
        assert_eq!(count(&plan, Section::Forward, Normalise::NAME), apart, "{spec}: {plan}");
        assert!(plan.keeps(plan.id(embedding_slot(&net, &plan))), "{spec}");
        // What is prepared is run once: a run of images finds it as it was.
        assert_eq!(plan.section(Section::Prepare), 0..folded, "{spec}");
        assert_eq!(plan.each(), folded..plan.calls().len(), "{spec}");
    }
}
