//! The model of how long a step takes that several ranks do together.

use siamese::crew::model::{Exchange, Link, Parts, Step};

const LINK: Link = Link { latency: 30e-6, bandwidth: 1.25e9 };

const STEP: Step = Step { rows: 320, by_row: 40e-3, loss: 1e-3, update: 1e-3, embeddings: 81_920, gradient: 1 << 20 };

fn near(found: f64, right: f64) {
    assert!((found - right).abs() <= 1e-9 * right.abs(), "{found} is not {right}");
}

#[test]
fn messages_and_bytes_are_those_of_the_algorithms() {
    for exchange in [Exchange::Broadcast, Exchange::Gather, Exchange::Sum] {
        let (messages, bytes) = exchange.cost(1, 1000);
        assert_eq!((messages, bytes), (0.0, 0.0), "{exchange:?} of one rank");
    }
    assert_eq!(Exchange::Broadcast.cost(5, 1000), (3.0, 3000.0));
    assert_eq!(Exchange::Gather.cost(8, 1000), (3.0, 875.0));
    // Three others get their piece, then two rounds gather: three quarters of all, twice.
    assert_eq!(Exchange::Sum.cost(4, 1000), (5.0, 1500.0));
    // 40 MB are summed in three blocks.
    assert_eq!(Exchange::Sum.cost(4, 40 << 20), (15.0, 1.5 * f64::from(40 << 20)));
}

#[test]
fn the_link_is_found_again_in_what_it_makes() {
    for exchange in [Exchange::Broadcast, Exchange::Gather, Exchange::Sum] {
        for ranks in [2, 3, 8] {
            let measured: Vec<_> = [1_000, 100_000, 10_000_000]
                .into_iter()
                .map(|bytes| (bytes, exchange.seconds(ranks, bytes, LINK)))
                .map(|(bytes, (messages, transfer))| (bytes, messages + transfer))
                .collect();
            let found = exchange.fit(ranks, &measured).expect("several ranks and sizes");
            near(found.latency, LINK.latency);
            near(found.bandwidth, LINK.bandwidth);
        }
        assert_eq!(exchange.fit(1, &[(1_000, 1e-6), (2_000, 1e-6)]), None);
        assert_eq!(exchange.fit(2, &[(1_000, 1e-6)]), None);
    }
}

#[test]
fn a_step_is_its_parts_and_the_longest_limits_it() {
    let alone = STEP.on(1, LINK);
    near(alone.seconds(), 42e-3);
    assert_eq!((alone.exchange(), alone.limit()), (0.0, "rows"));
    let four = STEP.on(4, LINK);
    let (told, gathered, summed) = (2.0 * 64.0, 0.75 * 81_920.0, 1.5 * f64::from(1 << 20));
    near(four.seconds(), 10e-3 + 2e-3 + 9.0 * LINK.latency + (told + gathered + summed) / LINK.bandwidth);
    assert_eq!(STEP.on(256, LINK).limit(), "latency");
    let narrow = Link { bandwidth: 1e6, ..LINK };
    assert_eq!(STEP.on(2, narrow).limit(), "bandwidth");
    // Each row meets each: with the rows the loss grows by their square.
    let grown = STEP.grown(64).on(64, LINK);
    let Parts { by_row, loss, update, .. } = grown;
    near(by_row, 40e-3);
    near(loss, 4.096);
    near(update, 1e-3);
    assert_eq!(grown.limit(), "loss");
}
