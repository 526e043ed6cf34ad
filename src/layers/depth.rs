//! `depth[<size>][s<stride>][p<zeros>|v]`: depthwise convolution, each channel by itself, with a bias and the
//! activation that follows: a convolution with as many groups as channels.

use std::sync::Arc;

use super::conv::{Conv, taps};
use super::{Item, Options, Word};

/// A depthwise convolution.
pub struct Depth;

impl Word for Depth {
    const NAME: &'static str = "depth";
    const HELP: &'static str = "depth[<size>][s<stride>][p<zeros>|v]";
    const SPECS: &'static [(&'static str, [usize; 3])] = &[
        ("conv5 depth relu dense4 l2", [6, 5, 2]),
        ("depth5s2 sigmoid conv8k1 relu depth3s2v dense5", [13, 11, 3]),
        ("conv4k1 depth2s2p1 relu depth4v dense5", [7, 6, 1]),
    ];

    fn read(options: &mut Options) -> Result<Item, String> {
        let kernel = if options.begins_with_digit() { options.number("a kernel size", 255)? } else { 3 };
        let taps = taps(options, kernel, &['s', 'p', 'v'])?;
        Ok(Item::Layer(Arc::new(Conv::depthwise(taps))))
    }
}
