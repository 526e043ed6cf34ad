//! `siamese bench --crew`: what ranks tell each other, how long it takes, and what many of them would make of a step.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use bytesize::ByteSize;
use serde_json::{Value, json};
use siamese::checkpoint::Checkpoint;
use siamese::config::Config;
use siamese::crew::Crew;
use siamese::crew::model::{Exchange, Link, Step};
use siamese::data::Dataset;
use siamese::feed::Residence;
use siamese::net::Net;
use siamese::plan::{Plan, Section};
use siamese::run::Runner;
use siamese::siamese::slots;
use siamese::train::Trainer;

use super::{Failure, Job, ROUNDS, times};

/// Bytes that are exchanged to see how long it takes.
const SIZES: [usize; 6] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Seconds of a round.
const ROUND: f64 = 0.05;

/// Ranks that are predicted.
const RANKS: [usize; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/// Networks that are not here: the rate of the line, and the half of a round trip through the kernels' TCP that is
/// usual on such cards.
const NETWORKS: [(&str, Link); 2] = [
    ("10 GbE, assumed", Link { latency: 30e-6, bandwidth: 1.25e9 }),
    ("100 GbE, assumed", Link { latency: 10e-6, bandwidth: 12.5e9 }),
];

const EXCHANGES: [(&str, Exchange); 3] =
    [("broadcast", Exchange::Broadcast), ("gather", Exchange::Gather), ("sum", Exchange::Sum)];

/// Where results go: as text, or as JSON lines.
pub struct Out {
    pub json: bool,
}

impl Out {
    fn line(&self, event: Value, text: &str) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{event}")?
        } else {
            writeln!(out, "{text}")?
        }
        Ok(())
    }

    fn words(&self, text: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.line(Value::Null, text) }
    }
}

/// Seconds of an exchange, of the fastest round: what disturbs the others is no part of it.
fn seconds(crew: &mut dyn Crew, exchange: Exchange, bytes: usize) -> siamese::Result<f64> {
    let ranks = crew.ranks();
    let (mut sent, mut values) = (vec![1_u8; bytes], vec![0.0_f32; bytes / 4]);
    let own = vec![1_u8; bytes / ranks];
    let mut all = vec![0_u8; own.len() * ranks];
    let mut round = |crew: &mut dyn Crew, times: u32| {
        let start = Instant::now();
        for _ in 0..times {
            match exchange {
                Exchange::Broadcast => crew.broadcast(&mut sent)?,
                Exchange::Gather => crew.gather(&own, &mut all)?,
                Exchange::Sum => crew.sum(&mut values)?,
            }
        }
        // Who only sends is done when all have received.
        crew.sum(&mut [0.0])?;
        siamese::Result::Ok(start.elapsed().as_secs_f64() / f64::from(times))
    };
    // All do it as often as the first rank finds right.
    round(crew, 1)?;
    let mut times = ((ROUND / round(crew, 1)?) as u32).clamp(1, 10_000).to_le_bytes().to_vec();
    crew.broadcast(&mut times)?;
    let times = u32::from_le_bytes(times.try_into().expect("four bytes"));
    (0..ROUNDS).try_fold(f64::INFINITY, |best, _| Ok(best.min(round(crew, times)?)))
}

/// Measures the exchanges; answers the link by which sums go, where there is another rank.
pub fn exchanges(crew: &mut dyn Crew, out: &Out) -> Result<Option<Link>, Failure> {
    let ranks = crew.ranks();
    if ranks == 1 {
        say!("one rank exchanges nothing; `mpirun -n 2 siamese bench --crew mpi` measures what two do");
        return Ok(None);
    }
    let mut link = None;
    for (name, exchange) in EXCHANGES {
        let mut measured = Vec::new();
        for bytes in SIZES {
            let seconds = seconds(crew, exchange, bytes)?;
            measured.push((bytes, seconds));
            if crew.rank() == 0 {
                let (ms, size) = (1e3 * seconds, ByteSize(bytes as u64).display().si());
                let event = json!({ "event": "exchange", "what": name, "ranks": ranks, "bytes": bytes, "ms": ms });
                out.line(event, &format!("{name:<10} {size:>9} {ms:>10.3} ms"))?;
            }
        }
        link = exchange.fit(ranks, &measured);
        if let Some(Link { latency, bandwidth }) = link.filter(|_| crew.rank() == 0) {
            let (us, gb) = (1e6 * latency, bandwidth / 1e9);
            let event = json!({ "event": "link", "what": name, "ranks": ranks, "latency_us": us, "gb_per_s": gb });
            out.line(event, &format!("{name:<10} a message after {us:.1} us, then {gb:.2} GB/s"))?;
        }
    }
    Ok(link)
}

/// The parts of a step, measured.
pub struct Compute<'a> {
    pub config: &'a Config,
    pub data: &'a Dataset,
}

impl Job for Compute<'_> {
    type Output = Step;

    fn run<R: Runner>(self, make: impl Fn(Arc<Plan>) -> siamese::Result<R>) -> Result<Step, Failure> {
        let Compute { config, data } = self;
        let net = Net::parse(&config.spec, [data.height, data.width, data.channels])?;
        let mut trainer = Trainer::new(&Checkpoint::initial(config, &net), data, Residence::Device, make)?;
        trainer.run(1, &AtomicBool::new(false), |_| ())?;
        let runner = trainer.runner_mut();
        let times = times(runner)?;
        let plan = runner.plan();
        let seconds = |section| times[plan.section(section)].iter().map(|time| time.as_secs_f64()).sum::<f64>();
        let rows = config.batch.rows();
        let summed = [slots::GRADIENTS, slots::STATE].into_iter().filter_map(|name| plan.find(name));
        Ok(Step {
            rows,
            by_row: seconds(Section::Gather) + seconds(Section::Forward) + seconds(Section::Backward),
            loss: seconds(Section::Loss),
            update: seconds(Section::Update),
            embeddings: 4 * rows * net.dims(),
            gradient: summed.into_iter().map(|slot| plan.slot(slot).bytes() as usize).sum(),
        })
    }
}

/// Prints what a step would be on many ranks.
pub fn predict(name: &str, step: Step, link: Option<Link>, out: &Out) -> Result<(), Failure> {
    let Step { rows, by_row, loss, update, embeddings, gradient } = step;
    let ms = [by_row, loss, update].map(|seconds| 1e3 * seconds);
    let [gathered, summed] = [embeddings, gradient].map(|bytes| ByteSize(bytes as u64).display().si());
    let event = json!({
        "event": "step", "network": name, "rows": rows, "by_row_ms": ms[0], "loss_ms": ms[1], "update_ms": ms[2],
        "gathered": embeddings, "summed": gradient,
    });
    out.line(
        event,
        &format!(
            "{name}: of {rows} rows {:.2} ms row by row, {:.2} ms loss, {:.2} ms update; {gathered} are gathered and \
             {summed} summed a step",
            ms[0], ms[1], ms[2]
        ),
    )?;
    let here = link.map(|link| ("as measured", link));
    for (network, link) in here.into_iter().chain(NETWORKS) {
        let Link { latency, bandwidth } = link;
        out.words(&format!("\n{name}, {network}: {:.1} us, {:.2} GB/s", 1e6 * latency, bandwidth / 1e9))?;
        out.words(&format!(
            "{:>5} | {rows} rows in all: {:>9} {:>8} {:>9} | {rows} rows a rank: {:>9} {:>8} {:>9}",
            "ranks", "images/s", "exchange", "limit", "images/s", "exchange", "limit"
        ))?;
        for ranks in RANKS {
            // A rank has a row at least.
            let kept = (ranks <= rows).then_some(step);
            let [kept, grown] = [kept, Some(step.grown(ranks))].map(|step| {
                step.map(|step| (step.rows, step.on(ranks, link))).map(|(rows, parts)| {
                    let seconds = parts.seconds();
                    (rows as f64 / seconds, parts.exchange() / seconds, parts.limit())
                })
            });
            let fields = |found: Option<(f64, f64, &str)>| {
                found.map(|(speed, share, limit)| json!({ "images_per_s": speed, "exchange": share, "limit": limit }))
            };
            let event = json!({
                "event": "prediction", "network": name, "link": network, "ranks": ranks, "kept": fields(kept),
                "grown": fields(grown),
            });
            let cells = |found: Option<(f64, f64, &str)>| match found {
                Some((speed, share, limit)) => format!("{speed:>9.0} {:>6.1} % {limit:>9}", 100.0 * share),
                None => format!("{:>9} {:>8} {:>9}", "", "", ""),
            };
            let (kept, grown) = (cells(kept), cells(grown));
            let pad = rows.to_string().len();
            let line = format!("{ranks:>5} | {:pad$}              {kept} | {:pad$}               {grown}", "", "");
            out.line(event, line.trim_end())?;
        }
    }
    Ok(())
}
