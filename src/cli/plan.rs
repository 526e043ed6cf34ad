//! `siamese plan`

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use siamese::Error;
use siamese::data::pictures::Pictures;
use siamese::embed::batch;
use siamese::net::Net;
use siamese::siamese::{Source, inference_plan, slots, training_plan};

use super::{BatchArgs, DataArg, NetworkArgs, Outcome, parse_input};

/// Prints a network, layer by layer, and its plan: calls in order with their work, and arrays with their sizes.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese plan
  siamese plan --spec \"conv16 relu pool dense32 l2\" --batch 10x8
  siamese plan --preset notebook --infer
  siamese plan --spec \"conv64k7s2 relu 2*{ add( conv64 relu conv64 | ) relu } dense128 l2\" --input 64x64x3")]
pub struct Plan {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    data: DataArg,
    /// Shape of the images: pictures of `--data` are brought to it; without that no set is read
    #[arg(long, value_name = "HxWxC", value_parser = parse_input)]
    input: Option<[usize; 3]>,
    #[command(flatten)]
    batch: BatchArgs,
    /// As `train --again` makes it: less kept, more computed
    #[arg(long, conflicts_with = "infer")]
    again: bool,
    /// The plan that embeds images, not the one that trains
    #[arg(long, conflicts_with_all = ["mining", "batch"])]
    infer: bool,
}

/// Shape of the images that are built in.
const MNIST: [usize; 3] = [28, 28, 1];

impl Plan {
    pub fn run(self) -> Outcome {
        let preset = self.network.preset()?;
        let config = |input| {
            let mut config = self.network.config(preset, input);
            config.batch = self.batch.apply(&config.loss, config.batch)?;
            config.again = self.again;
            config.validate()?;
            Ok::<_, Error>(config)
        };
        // The set that is built in shows what the presets made for it do; others need none.
        let unread =
            self.input.or((preset.input != MNIST).then_some(preset.input)).filter(|_| self.data.data.is_none());
        let (input, config, source) = match unread {
            Some(input) => {
                let config = config(input)?;
                let images = config.batch.rows();
                let source = Source { slot: "images".to_owned(), images, scale: config.scale(), classes: images };
                (input, config, source)
            }
            None => {
                let brought = preset.brings.then_some(preset.input);
                let train = self.data.open(self.input.or(brought), Pictures::default(), None)?.train;
                let input = [train.height, train.width, train.channels];
                let config = config(input)?;
                let source = Source::new(&train, config.scale());
                (input, config, source)
            }
        };
        let net = Net::parse(&config.spec, input)?;
        let plan = if self.infer {
            inference_plan(&net, &source, batch(&net, source.images), slots::PARAMETERS)
        } else {
            net.check(config.batch.rows())?;
            training_plan(&net, &source, &config)
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{net}\n\n{plan}")?;
        Ok(ExitCode::SUCCESS)
    }
}
