//! Plans and the networks they are lowered from: what the builder refuses, where a spec is wrong, what the plans of a
//! network have in common. No device is needed here.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use siamese::Error;
use siamese::config::{Config, Initialisation, PRESETS};
use siamese::init::{self, Init};
use siamese::kernel::Element;
use siamese::kernels::{
    ActDx, ActDxShape, Activation, Adam, AdamShape, Dense, DenseShape, PoolShape, Scale, SumRows, SumRowsShape, Taps,
    Window,
};
use siamese::layers::{LAYERS, Layout, Shape};
use siamese::net::{MOST_WORDS, Net};
use siamese::plan::{ALIGNMENT, Builder, Place, Plan, Role, Section, Slot, SlotId};
use siamese::sampler::{Batch, Positive};
use siamese::siamese::{Source, inference_plan, slots, training_plan};

const MNIST: [usize; 3] = [28, 28, 1];
const CNN: &str = "conv32 relu pool conv64 relu pool dense128 relu dense64 l2";

fn source() -> Source {
    Source { slot: "test.images".to_owned(), images: 100, scale: Scale::by(1.0 / 255.0), classes: 1 }
}

fn parse(spec: &str) -> Net {
    Net::parse(spec, MNIST).unwrap_or_else(|error| panic!("{error}"))
}

fn train(net: &Net, triplets: usize) -> Plan {
    let batch = Batch::Random { triplets, positive: Positive::Other };
    training_plan(net, &source(), &Config { batch, ..PRESETS[0].config() })
}

/// A builder with three activations of 12 values, the first of them written, and an input of as many.
fn builder() -> (Builder, [SlotId; 4]) {
    let mut builder = Builder::default();
    let input = builder.slot("given", Element::F32, &[12], Role::Input);
    let [x, y, z] = ["first", "second", "third"].map(|name| builder.activation(name, &[3, 4]));
    builder.call::<SumRows>(Section::Gather, SUM, &[input, x]);
    (builder, [x, y, z, input])
}

const SUM: SumRowsShape = SumRowsShape { rows: 1, columns: 12, splits: 1 };
const ACT: ActDxShape = ActDxShape { length: 12, activation: Activation::Relu };

/// Runs what must panic and checks that the message has all the words.
fn refuses(words: &[&str], wrong: impl FnOnce()) {
    let payload = catch_unwind(AssertUnwindSafe(wrong)).expect_err(&format!("{words:?} was not refused"));
    let message = payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(|message| (*message).to_owned()))
        .expect("a message");
    for word in words {
        assert!(message.contains(word), "the refusal `{message}` does not say `{word}`");
    }
}

#[test]
fn a_sound_call_is_taken() {
    let (mut builder, [x, y, z, input]) = builder();
    builder.call::<SumRows>(Section::Forward, SUM, &[x, y]);
    builder.call::<ActDx>(Section::Backward, ACT, &[x, x, z]);
    builder.call::<ActDx>(Section::Backward, ACT, &[y, input, z]);
    assert_eq!(builder.finish().calls().len(), 4);
}

#[test]
fn a_wrong_length_is_refused() {
    let (mut builder, [x, ..]) = builder();
    let short = builder.activation("short", &[11]);
    refuses(&["sum_rows", "`y`", "`short`", "number of elements", "11", "12"], || {
        builder.call::<SumRows>(Section::Forward, SUM, &[x, short]);
    });
}

#[test]
fn a_wrong_element_is_refused() {
    let (mut builder, [x, ..]) = builder();
    let whole = builder.slot("whole", Element::U32, &[12], Role::Activation);
    refuses(&["sum_rows", "`y`", "`whole`", "element type"], || {
        builder.call::<SumRows>(Section::Forward, SUM, &[x, whole]);
    });
}

#[test]
fn a_wrong_number_of_arguments_is_refused() {
    let (mut builder, [x, ..]) = builder();
    refuses(&["sum_rows", "2 arguments"], || builder.call::<SumRows>(Section::Forward, SUM, &[x]));
}

#[test]
fn a_read_before_any_write_is_refused() {
    let (mut first, [_, y, z, _]) = builder();
    refuses(&["sum_rows", "`x`", "`second`", "before"], || first.call::<SumRows>(Section::Forward, SUM, &[y, z]));

    // An update reads too.
    let (mut builder, [g, p, ..]) = builder();
    let step = builder.slot("step", Element::F32, &[4], Role::Input);
    let stats = builder.slot("stats", Element::F32, &[6], Role::Input);
    let [m, v] = ["m", "v"].map(|name| builder.slot(name, Element::F32, &[12], Role::Moment));
    let shape = AdamShape { length: 12, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, clip: 0.0, norm: 4 };
    refuses(&["adam", "`p`", "`second`", "before"], || {
        builder.call::<Adam>(Section::Update, shape, &[step, stats, g, p, m, v]);
    });
}

/// Two tensors of 64 and 12 values, with gradients.
fn arenas(builder: &mut Builder) -> [[SlotId; 2]; 2] {
    let arenas = [(slots::PARAMETERS, Role::Parameter), (slots::GRADIENTS, Role::Gradient)]
        .map(|(name, role)| builder.slot(name, Element::F32, &[128], role));
    [("large", &[64][..], 0), ("small", &[3, 4], 64)].map(|(name, dims, start)| {
        let gradient = format!("{name}.gradient");
        [builder.part(name, dims, arenas[0], start), builder.part(gradient, dims, arenas[1], start)]
    })
}

#[test]
fn an_arena_can_be_read_when_all_its_parts_are_written() {
    let (mut builder, [x, ..]) = builder();
    let [[large, large_gradient], [_, small_gradient]] = arenas(&mut builder);
    let gradients = builder.id("gradients");
    let sum = builder.activation("sum", &[128]);
    let whole = SumRowsShape { rows: 1, columns: 128, splits: 1 };
    builder.call::<SumRows>(Section::Backward, SUM, &[x, small_gradient]);
    refuses(&["sum_rows", "`x`", "`gradients`", "before"], || {
        builder.call::<SumRows>(Section::Update, whole.clone(), &[gradients, sum]);
    });
    let shape = SumRowsShape { rows: 1, columns: 64, splits: 1 };
    builder.call::<SumRows>(Section::Backward, shape, &[large, large_gradient]);
    builder.call::<SumRows>(Section::Update, whole, &[gradients, sum]);
}

#[test]
fn aliases_of_what_is_written_are_refused() {
    let (mut first, [x, ..]) = builder();
    refuses(&["sum_rows", "`y`", "`first`", "overlaps"], || first.call::<SumRows>(Section::Forward, SUM, &[x, x]));

    let (mut builder, [x, ..]) = builder();
    let [[large, _], [small, small_gradient]] = arenas(&mut builder);
    let parameters = builder.id("parameters");
    // A part and its arena.
    let shape = SumRowsShape { rows: 2, columns: 64, splits: 1 };
    refuses(&["sum_rows", "`y`", "`large`", "overlaps", "`parameters`"], || {
        builder.call::<SumRows>(Section::Forward, shape, &[parameters, large]);
    });
    // Two parts of one buffer do not overlap, yet no call may read one and write the other.
    refuses(&["sum_rows", "`y`", "`small`", "same buffer", "`large`"], || {
        builder.call::<SumRows>(Section::Forward, SumRowsShape { rows: 16, columns: 4, splits: 3 }, &[large, small]);
    });
    // Equal offsets in two buffers are no alias; nor are two reads of one buffer.
    builder.call::<SumRows>(Section::Backward, SUM, &[small, small_gradient]);
    let z = builder.activation("z", &[12]);
    builder.call::<ActDx>(Section::Backward, ACT, &[x, small, z]);
}

#[test]
fn a_section_that_goes_back_is_refused() {
    let (mut builder, [x, y, z, _]) = builder();
    builder.call::<SumRows>(Section::Loss, SUM, &[x, y]);
    refuses(&["sum_rows", "goes back", "Forward"], || builder.call::<SumRows>(Section::Forward, SUM, &[y, z]));
}

/// What waits for a section comes first in it, in the order in which it was added, whatever is added meanwhile.
#[test]
fn a_call_waits_for_its_section() {
    let (mut builder, [x, y, z, input]) = builder();
    let last = builder.activation("last", &[12]);
    builder.later::<SumRows>(Section::Update, SUM, &[y, z]);
    builder.later::<SumRows>(Section::Loss, SUM, &[x, y]);
    builder.call::<SumRows>(Section::Forward, SUM, &[x, last]);
    builder.call::<ActDx>(Section::Backward, ACT, &[y, input, last]);
    let plan = builder.finish();
    let outputs: Vec<_> = plan.calls().iter().flat_map(|call| call.outputs()).collect();
    assert_eq!(outputs, [x, last, y, last, z]);
    let section = |section| plan.section(section).map(|call| plan.calls()[call].section).collect::<Vec<_>>();
    assert_eq!(section(Section::Update), [Section::Update]);
    assert!(plan.needed_until(y) == 5, "the call that waits reads it");

    let (mut unsound, [_, y, z, _]) = self::builder();
    unsound.later::<SumRows>(Section::Update, SUM, &[y, z]);
    refuses(&["sum_rows", "`x`", "`second`", "before"], || drop(unsound.finish()));
}

/// There is one slot of so many zeros, which calls read and none writes.
#[test]
fn zeros_are_nobodys_to_write() {
    let (mut builder, [_, y, ..]) = builder();
    let zeros = builder.zeros(12);
    assert_eq!((builder.zeros(12), builder.len(zeros)), (zeros, 12));
    builder.call::<SumRows>(Section::Forward, SUM, &[zeros, y]);
    refuses(&["sum_rows", "writes", "`zeros.12`"], || builder.call::<SumRows>(Section::Forward, SUM, &[y, zeros]));
}

#[test]
fn a_name_given_twice_is_refused() {
    let (mut builder, _) = builder();
    refuses(&["two slots", "`first`"], || {
        builder.activation("first", &[1]);
    });
    let arena = builder.slot("arena", Element::F32, &[64], Role::Parameter);
    refuses(&["two slots", "`given`"], || {
        builder.part("given", &[1], arena, 0);
    });
}

#[test]
fn a_part_outside_its_arena_is_refused() {
    let (mut builder, _) = builder();
    let arena = builder.slot("arena", Element::F32, &[128], Role::Parameter);
    refuses(&["`late`", "behind `arena`", "129"], || {
        builder.part("late", &[5, 13], arena, 64);
    });
    refuses(&["`odd`", "`arena`", "63"], || {
        builder.part("odd", &[1], arena, 63);
    });
    builder.part("last", &[64], arena, 64);
}

#[test]
fn an_empty_slot_is_refused() {
    let (mut builder, _) = builder();
    refuses(&["`nothing`", "empty"], || {
        builder.activation("nothing", &[3, 0]);
    });
}

#[test]
fn writing_an_input_is_refused() {
    let (mut builder, [x, _, _, input]) = builder();
    refuses(&["sum_rows", "input", "`given`"], || builder.call::<SumRows>(Section::Forward, SUM, &[x, input]));
}

#[test]
fn arrays_beyond_32_bit_indices_are_refused() {
    let (mut builder, _) = builder();
    let [x, w, b] = [("x", 1 << 16), ("w", 1 << 32), ("b", 1 << 16)]
        .map(|(name, len)| builder.slot(name, Element::F32, &[len], Role::Input));
    let y = builder.activation("y", &[1 << 16]);
    let shape = DenseShape { rows: 1, inputs: 1 << 16, outputs: 1 << 16, activation: Activation::None };
    refuses(&["dense", "`w`", "32-bit"], || builder.call::<Dense>(Section::Forward, shape, &[x, w, b, y]));
}

#[test]
fn parameter_counts_are_those_of_the_published_networks() {
    for (spec, count, dims, normalises) in [
        (CNN, 428_608, 64, true),
        ("dense64 relu dense64 sigmoid", 54_400, 64, false),
        // 1·32·9 + 32, then 32·64·25 + 64 on 12×12, then 5·5·64·10 + 10.
        ("conv32v relu pool conv64k5v pool2 pool dense10", 320 + 51_264 + 2 * 2 * 64 * 10 + 10, 10, false),
    ] {
        let net = parse(spec);
        assert_eq!(net.parameter_count(), count, "{spec}");
        assert_eq!((net.dims(), net.normalises()), (dims, normalises), "{spec}");
    }
}

/// Biases start at zero, weights by the activation behind them or, where the settings say so, all by Glorot.
#[test]
fn first_values_are_by_activation() {
    for parameter in parse("conv4 relu dense3").parameters() {
        for initialisation in [Initialisation::ByActivation, Initialisation::Glorot] {
            let name = parameter.name.as_str();
            let mut values = vec![f32::NAN; parameter.range.len()];
            let mut expected = vec![0.0; values.len()];
            match (name, initialisation) {
                ("conv1.weight", Initialisation::ByActivation) => {
                    init::fill(Init::HeUniform, 7, name, 9, 36, &mut expected);
                }
                ("conv1.weight", _) => init::fill(Init::GlorotUniform, 7, name, 9, 36, &mut expected),
                ("dense1.weight", _) => init::fill(Init::GlorotUniform, 7, name, 28 * 28 * 4, 3, &mut expected),
                _ => assert!(name.ends_with(".bias"), "{name}"),
            }
            parameter.fill(initialisation, 1.0, 7, &mut values);
            assert_eq!(values, expected, "{name}, {initialisation:?}");
        }
    }
}

#[test]
fn the_cnn_has_the_expected_shapes() {
    let net = parse(CNN);
    let shapes: Vec<_> = net.nodes.iter().map(|node| (node.name.as_str(), node.output)).collect();
    let expected = [
        ("conv1", Shape::Image([28, 28, 32])),
        ("pool1", Shape::Image([14, 14, 32])),
        ("conv2", Shape::Image([14, 14, 64])),
        ("pool2", Shape::Image([7, 7, 64])),
        ("dense1", Shape::Row(128)),
        ("dense2", Shape::Row(64)),
        ("l2", Shape::Unit(64)),
    ];
    assert_eq!(shapes, expected);
    // A chain: each node takes what the one before has made.
    assert!(net.nodes.iter().enumerate().all(|(place, node)| node.inputs == [place]));
}

#[test]
fn presets_parse_and_white_space_does_not_matter() {
    for preset in PRESETS {
        let spec = preset.config().spec;
        let parse = |spec: &str| Net::parse(spec, preset.input).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(parse(&spec).spec, spec, "{}", preset.name);
        let spaced = format!("\t {}\n", spec.replace(' ', " \u{3000}\n"));
        assert_eq!(parse(&spaced).spec, spec, "{}", preset.name);
    }
}

/// A wrong spec with the word at fault in brackets, and what must be said of it.
const WRONG: &[(&str, &str)] = &[
    ("[]", "dense layer"),
    ("[ \n\t ]", "dense layer"),
    ("[conv8 pool]", "dense layer"),
    ("[cnv8] dense4", "no layer"),
    ("conv8 [relu7] dense4", "no layer"),
    ("[Conv8] dense4", "no layer"),
    ("[dénse4]", "no layer"),
    ("dense4 [ｒelu]", "no layer"),
    ("[conv] dense4", "number of channels"),
    ("[conv0] dense4", "number of channels"),
    ("[conv65537] dense4", "number of channels"),
    ("[conv99999999999999999999] dense4", "number of channels"),
    ("[conv８] dense4", "number of channels"),
    ("[conv8k] dense4", "kernel size"),
    ("[conv8k0] dense4", "kernel size"),
    ("[conv8k257] dense4", "kernel size"),
    ("[conv8k4] dense4", "not odd"),
    ("[conv8s] dense4", "stride"),
    ("[conv8s0] dense4", "stride"),
    ("[conv8x] dense4", "k, s, p, v or g"),
    ("[conv8é] dense4", "k, s, p, v or g"),
    ("[conv8v2] dense4", "k, s, p, v or g"),
    ("[conv8k3-] dense4", "k, s, p, v or g"),
    ("[conv8k3x] dense4", "kernel width"),
    ("[conv8k3x0] dense4", "kernel width"),
    ("[conv8k3x4] dense4", "not odd"),
    ("[conv8k3p] dense4", "padding after p from 0"),
    ("[conv8k3p256] dense4", "padding"),
    ("[conv8g] dense4", "number of groups"),
    ("[conv8g3] dense4", "3 groups do not divide 8 channels"),
    ("conv9 [conv8g2] dense4", "2 groups do not divide the 9 channels"),
    ("[depth0] dense4", "kernel size"),
    ("[depth3k5] dense4", "s, p or v"),
    ("[depth2] dense4", "not odd"),
    ("[depth29v] dense4", "larger than the 28×28×1"),
    ("dense4 [depth]", "flattened"),
    ("conv8 [conv8k29v] dense4", "larger than the 28×28×8"),
    ("[pool0] dense4", "window size"),
    ("[pool256] dense4", "window size"),
    ("[pool2x2] dense4", "window size"),
    ("[pool3p2] dense4", "more than half"),
    ("[pool3s] dense4", "stride"),
    ("[avg3p256] dense4", "border"),
    ("dense4 [avg]", "flattened"),
    ("dense4 [mean]", "flattened"),
    ("conv4 mean [conv4] dense4", "flattened"),
    ("[poolx] dense4", "window size"),
    ("pool pool [pool8] dense4", "larger than the 7×7×1"),
    ("conv4 [scale] dense4", "a factor above 0"),
    ("conv4 [scale-1] dense4", "a factor above 0"),
    ("conv4 [leaky1.5] dense4", "up to 1"),
    ("conv4 [leaky1e-2] dense4", "no layer"),
    ("conv4 [prelu2] dense4", "no layer"),
    ("[dense]", "number of outputs"),
    ("[dense0]", "number of outputs"),
    ("[dense-3]", "number of outputs"),
    ("[dense+3]", "number of outputs"),
    ("[dense3x]", "number of outputs"),
    ("dense4 [dense65537]", "number of outputs"),
    ("dense4 [conv8]", "flattened"),
    ("dense4 [pool]", "flattened"),
    ("[l2]", "must follow a dense layer"),
    ("conv8 [l2] dense4", "must follow a dense layer"),
    ("dense4 l2 [dense4]", "last"),
    ("dense4 l2 [relu]", "last"),
    ("dense4 l2 [l2]", "last"),
    ("dense4 l2 [nonsense]", "last"),
    ("dense4 [l22]", "no layer"),
    ("dense65536 [dense65536]", "32-bit"),
    ("conv65536 [conv65536] dense4", "32-bit"),
    ("dense4 dense4\u{a0}[dense]", "number of outputs"),
    ("[relu]", "dense layer"),
    ("pool [pool3{] dense4", "count"),
    ("[{] dense4 }", "count"),
    ("[0*{] dense4 }", "count"),
    ("[4097*{] dense4 }", "count"),
    ("[2*{] dense4", "closes `2*{`"),
    ("2*{ dense4 [)]", "must close `2*{`"),
    ("2*{ dense4 [|] dense4 }", "must close `2*{`"),
    ("dense4 [}]", "closes nothing"),
    ("dense4 [|] dense4", "closes nothing"),
    ("dense4[)]", "closes nothing"),
    ("[2*] { dense4 }", "no layer"),
    ("[(] dense4 )", "no layer"),
    ("[add] dense4", "branches"),
    ("[cat] (dense4)", "branches"),
    ("[conv4(] dense4 | dense4 )", "no branches"),
    ("[relu(] dense4 | dense4 )", "no branches"),
    ("[add2(] conv4 | conv4 ) dense4", "no layer"),
    ("[add(] dense4 | dense4", "closes `add(`"),
    ("add( dense4 | dense4 [}]", "must close `add(`"),
    ("[add(] dense4 )", "two branches"),
    ("[add(]) dense4", "two branches"),
    ("[add(] conv4 | conv8 ) dense4", "28×28×4 and 28×28×8"),
    ("[add(]conv4s2| |pool)dense4", "14×14×4, 28×28×1 and 14×14×1"),
    ("[add(] dense4 | conv4 ) dense4", "4 and 28×28×4"),
    ("[cat(] conv4 | conv4s2 ) dense4", "channels alone"),
    ("[cat(] dense4 | conv4 ) dense4", "channels alone"),
    ("[add0(] dense4 | conv4 ) dense4", "images and what is none"),
    ("[add(] dense4 l2 | dense4 l2 )", "last"),
    ("dense4 l2 [add(] | )", "last"),
    ("add( dense4 l2 [relu] | dense4 )", "last"),
    ("3*{ conv8 [conv8k29v] } dense4", "larger than the 28×28×8"),
    ("2*{ 3*{ pool [conv8k3v] } } dense4", "larger than the 2×2×8"),
    ("64*{ 64*{ [dense4] } }", "more than 4096 words"),
    ("4096*{ [4096*{] } } dense4", "more than 4096 words"),
];

#[test]
fn errors_point_at_the_word() {
    for (marked, why) in WRONG {
        let spec = marked.replace(['[', ']'], "");
        let start = marked.find('[').expect("a mark");
        let expected = start..marked.find(']').expect("a mark") - 1;
        match Net::parse(&spec, MNIST) {
            Ok(_) => panic!("{spec:?} parses"),
            Err(error @ Error::Spec { .. }) => {
                let shown = error.to_string();
                let hint = error.hint().expect("a hint");
                assert!(LAYERS.iter().all(|word| hint.contains(word.help)), "{hint}");
                let Error::Spec { spec: told, start, end, reason, .. } = error else { unreachable!() };
                assert_eq!((told.as_str(), start..end), (spec.as_str(), expected.clone()), "{reason}");
                assert!(reason.contains(why), "{spec:?}: `{reason}` does not say `{why}`");
                let carets = shown.chars().filter(|&c| c == '^').count();
                assert_eq!(carets, spec[expected].chars().count().max(1), "{shown}");
            }
            Err(other) => panic!("{spec:?}: {other}"),
        }
    }
}

/// Branches, repeats and activations by themselves: what takes what, and how it is called.
#[test]
fn a_network_is_a_graph() {
    let graph = |spec: &str| {
        let net = Net::parse(spec, [8, 8, 4]).unwrap_or_else(|error| panic!("{error}"));
        let node = |node: &siamese::net::Node| {
            format!("{}{:?}{}", node.name, node.inputs, if node.activation == Activation::None { "" } else { "+" })
        };
        net.nodes.iter().map(node).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(graph("add(conv4 relu|)relu dense4"), "conv1[0]+ add1[1, 0]+ dense1[2]");
    assert_eq!(graph("2*{conv4 2*{relu}} dense4"), "conv1[0]+ relu1[1] conv2[2]+ relu2[3] dense1[4]");
    assert_eq!(graph("add0( | | ) add0( | ) dense4 l2"), "add0[0, 0, 0] add0_2[1, 1] dense1[2] l2[3]");
    // Passed by a pool, unless others take what it pools, or begin there.
    assert_eq!(graph("conv4 pool1 relu dense4"), "conv1[0]+ pool1[1] dense1[2]");
    assert_eq!(graph("conv4 add( pool1 relu | ) dense4"), "conv1[0] pool1[1] relu1[2] add1[3, 1] dense1[4]");
    assert_eq!(graph("add( conv4 pool1 relu | ) dense4"), "conv1[0]+ pool1[1] add1[2, 0] dense1[3]");
    assert_eq!(graph("conv4 add( relu | conv4 ) dense4"), "conv1[0] relu1[1] conv2[1] add1[2, 3] dense1[4]");
    // Its text is the words with single spaces, repeats as written.
    let net = Net::parse(" add(conv4\trelu|) 2*{dense4 } ", [8, 8, 4]).unwrap();
    assert_eq!(net.spec, "add( conv4 relu | ) 2*{ dense4 }");
}

/// Repeats and joins within each other cost neither stack nor time.
#[test]
fn nesting_has_a_limit() {
    for (opening, closing) in [("2*{ ", " }"), ("add( | ", " )"), ("1*{ ", " }")] {
        let spec = |depth: usize| format!("{}dense4{} dense4", opening.repeat(depth), closing.repeat(depth));
        let shown = Net::parse(&spec(1000), MNIST).unwrap_err().to_string();
        assert!(shown.contains("within each other") || shown.contains("4096 words"), "{shown}");
    }
    let spec = |depth: usize| format!("{}dense4{}", "add( dense4 | ".repeat(depth), " )".repeat(depth));
    assert!(Net::parse(&spec(32), MNIST).is_ok());
    assert!(Net::parse(&spec(33), MNIST).unwrap_err().to_string().contains("within each other"));
}

/// What nobody trains gets no gradient, and a gradient of several parts is summed once each.
#[test]
fn the_way_back_computes_what_is_wanted() {
    let calls = |spec: &str| {
        let net = Net::parse(spec, [8, 8, 4]).unwrap_or_else(|error| panic!("{error}"));
        let plan = train(&net, 2);
        let names = |call: usize| {
            let call = &plan.calls()[call];
            let arguments: Vec<_> = call.args.iter().map(|&id| plan.slot(id).name.as_str()).collect();
            format!("{} {}", call.at.name(), arguments.join(" "))
        };
        let backward = plan.section(Section::Backward).map(names);
        backward.filter(|call| !call.starts_with("sum_rows") && !call.contains("_dw ")).collect::<Vec<_>>()
    };
    // The sum hands its gradient to both; of the images nobody wants one.
    assert_eq!(
        calls("add( conv4 | ) relu dense4"),
        ["dense_dx embedding.dx dense1.weight dense1.dx", "act_by add1 dense1.dx"]
    );
    // The branch has an array of its own: the sum's gradient is added to that.
    assert_eq!(
        calls("conv4 add( conv4 | ) dense4")[1..],
        ["conv2d_dx dense1.dx conv2.weight conv2.dx", "add_to dense1.dx conv2.dx"]
    );
    // Nobody has: they are added into a new one. A stem without weights computes nothing.
    assert_eq!(
        calls("add( pool relu | pool ) relu conv4 add( | relu ) dense4")[1..],
        ["act_dx relu2 dense1.dx relu2.dx", "add_to dense1.dx relu2.dx"]
    );
    assert_eq!(calls("conv4 add( | ) dense4")[1..], ["add dense1.dx dense1.dx conv1.dy"]);
    // Where a pool's input is taken by others too, the slope is taken on the sum.
    assert_eq!(
        calls("conv4 relu add( pool1 | ) dense4")[1..],
        ["maxpool_dx dense1.dx pool1.argmax pool1.dx", "add_to dense1.dx pool1.dx", "act_by conv1 pool1.dx"]
    );
}

#[test]
fn the_largest_batch_can_be_planned() {
    for spec in ["conv1024 pool7 dense4", "dense4", CNN] {
        let net = parse(spec);
        let most = net.most_rows();
        inference_plan(&net, &source(), most, slots::PARAMETERS);
        refuses(&["32-bit"], || drop(inference_plan(&net, &source(), most + 1, slots::PARAMETERS)));
    }
}

#[test]
fn a_batch_beyond_32_bit_indices_is_an_error() {
    let net = parse("conv65536 relu dense8 l2");
    let most = net.most_rows();
    assert!(net.check(most).is_ok());
    let words = net.check(most + 1).unwrap_err().to_string();
    assert!(words.contains("--batch") && words.contains("`conv1`") && words.contains(&most.to_string()), "{words}");
    for side in [0, 1 << 32] {
        let words = Net::parse("dense8", [side, side, 1]).unwrap_err().to_string();
        assert!(words.contains("--input"), "{words}");
    }
}

#[test]
fn a_long_spec_is_answered_at_once() {
    let spec = |words: usize| ["dense4", "relu"].repeat(words / 2).join(" ");
    let net = parse(&spec(MOST_WORDS));
    assert_eq!(net.nodes.last().unwrap().name, format!("dense{}", MOST_WORDS / 2));
    train(&net, 2);
    let words = Net::parse(&spec(40_000), MNIST).unwrap_err().to_string();
    assert!(words.contains("40000 words"), "{words}");
}

/// A word of the networks by which the words prove themselves, mostly with other numbers; or what is none.
fn word(rng: &mut impl Rng) -> String {
    const NONE: &[&str] = &["dense", "conv", "k", "ReLU", "–", "１", "\u{301}", "💥"];
    const SPACES: &[&str] = &[" ", "  ", "\t", "\n", "\u{a0}", "\u{3000}", ""];
    const NUMBERS: &[u64] = &[0, 1, 2, 3, 4, 5, 7, 16, 255, 256, 65_535, 65_536, 65_537, u32::MAX as u64, u64::MAX];
    fn pick<T: Copy>(list: &[T], rng: &mut impl Rng) -> T {
        list[rng.random_range(0..list.len())]
    }
    let mut text = String::new();
    if rng.random_ratio(1, 40) {
        text += pick(NONE, rng);
    }
    if rng.random_ratio(1, 20) {
        text += pick(NONE, rng);
    } else {
        let (spec, _) = pick(LAYERS[rng.random_range(0..LAYERS.len())].specs, rng);
        let known = pick(&spec.split(' ').collect::<Vec<_>>(), rng);
        let varied = rng.random_ratio(2, 3);
        for part in known.split_inclusive(|c: char| c.is_ascii_digit()) {
            let letters = part.trim_end_matches(|c: char| c.is_ascii_digit());
            let number = if rng.random_ratio(3, 4) { rng.random_range(1..9) } else { pick(NUMBERS, rng) };
            text += &if varied && letters != part { format!("{letters}{number}") } else { part.to_owned() };
        }
    }
    text + if rng.random_ratio(9, 10) { " " } else { pick(SPACES, rng) }
}

/// Words in an order that mostly makes sense, with sizes that mostly fit.
fn sentence(rng: &mut impl Rng) -> String {
    let mut words = Vec::new();
    let activation = |rng: &mut dyn Rng| ["", "relu", "sigmoid"][rng.random_range(0..3)].to_owned();
    for _ in 0..rng.random_range(0..4) {
        let option = ["", "k1", "k5", "s2", "v", "s3v", "k7s2"][rng.random_range(0..7)];
        words.push(format!("conv{}{option}", rng.random_range(1..70)));
        words.push(activation(rng));
        words.push(["", "pool", "pool3", "pool1"][rng.random_range(0..4)].to_owned());
        words.push(if words[words.len() - 2].is_empty() { activation(rng) } else { String::new() });
    }
    for _ in 0..rng.random_range(1..4) {
        words.push(format!("dense{}", rng.random_range(1..200)));
        words.push(activation(rng));
    }
    words.push(["", "l2"][rng.random_range(0..2)].to_owned());
    words.join(" ")
}

/// Word salads never panic; what parses can be planned, printed, and read back from its own text.
#[test]
fn no_spec_panics_and_what_parses_can_be_planned() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut parsed = 0;
    for _ in 0..30_000 {
        let spec = match rng.random() {
            true => sentence(&mut rng),
            false => (0..rng.random_range(0..7)).map(|_| word(&mut rng)).collect(),
        };
        let input = [rng.random_range(1..12), rng.random_range(1..12), rng.random_range(1..4)];
        let outcome = catch_unwind(|| match Net::parse(&spec, input) {
            Ok(net) => {
                let plan = train(&net, 2);
                assert!(!plan.to_string().is_empty());
                assert_eq!(plan.slot(plan.id("embedding.dx")).dims, [6, net.dims()]);
                inference_plan(&net, &source(), 1, slots::PARAMETERS);
                let again = Net::parse(&net.spec, input).expect("its own text");
                assert_eq!(train(&again, 2).to_string(), plan.to_string());
                true
            }
            Err(error) => {
                let Error::Spec { ref spec, start, end, .. } = error else { panic!("{error}") };
                assert!(spec.get(start..end).is_some(), "{start}..{end} cuts a character of {spec:?}");
                assert!(!error.to_string().is_empty());
                false
            }
        });
        match outcome {
            Ok(fine) => parsed += usize::from(fine),
            Err(_) => panic!("{spec:?} on {input:?}: see the panic above"),
        }
    }
    // A salad that never parses, or always, would prove nothing.
    assert!((5_000..25_000).contains(&parsed), "{parsed} of 30,000 parse");
}

/// The order of a tensor's elements in a network.
fn layout(spec: &str, input: [usize; 3], tensor: &str) -> Layout {
    let parameters = Net::parse(spec, input).unwrap_or_else(|error| panic!("{error}")).parameters();
    parameters.into_iter().find(|parameter| parameter.name == tensor).expect("a tensor of this name").layout
}

#[test]
fn layouts_permute_and_return() {
    let layouts = [
        layout("conv5 dense1", [9, 9, 4], "conv1.weight"),
        layout("conv7k1 dense1", [9, 9, 1], "conv1.weight"),
        layout("dense6", [3, 4, 5], "dense1.weight"),
        layout("dense8 dense3", [1, 1, 1], "dense2.weight"),
        layout("dense9", [1, 1, 1], "dense1.bias"),
    ];
    for layout in layouts {
        let length = layout.device_dims().iter().product();
        assert_eq!(layout.len(), length, "{layout:?}");
        assert_eq!(layout.file_dims().iter().product::<usize>(), length, "{layout:?}");
        let values: Vec<f32> = (0..length).map(|value| value as f32).collect();
        let mut sorted = layout.to_file(&values);
        assert_eq!(layout.to_device(&sorted), values, "{layout:?}: to the file and back");
        assert_eq!(layout.to_file(&layout.to_device(&values)), values, "{layout:?}: to the device and back");
        sorted.sort_by(f32::total_cmp);
        assert_eq!(sorted, values, "{layout:?}: each value once");
    }
}

#[test]
fn files_order_elements_as_pytorch() {
    // The device has element (ky, kx, i, o) at ((ky·3 + kx)·2 + i)·4 + o; PyTorch wants [o, i, ky, kx].
    let counted = |length: usize| (0..length).map(|value| value as f32).collect::<Vec<_>>();
    let file = layout("conv4 dense1", [5, 5, 2], "conv1.weight").to_file(&counted(72));
    let (o, i, ky, kx) = (2, 1, 0, 2);
    assert_eq!(file[((o * 2 + i) * 3 + ky) * 3 + kx], (((ky * 3 + kx) * 2 + i) * 4 + o) as f32);
    // The device flattens height, width, channels; PyTorch channels, height, width.
    let file = layout("dense5", [2, 3, 4], "dense1.weight").to_file(&counted(120));
    let (o, c, y, x) = (3, 2, 1, 2);
    assert_eq!(file[((o * 4 + c) * 2 + y) * 3 + x], (((y * 3 + x) * 4 + c) * 5 + o) as f32);
}

#[test]
fn arenas_are_aligned_and_their_parts_apart() {
    assert_eq!(4 * ALIGNMENT, 256, "WebGPU's default alignment of storage bindings");
    for (name, plan) in crate::common::plans() {
        let mut parts: Vec<(SlotId, Range<usize>, &str)> = Vec::new();
        for slot in plan.slots() {
            let Place::Within(arena, start) = slot.place else { continue };
            let range = start..start + slot.len();
            assert_eq!(start % ALIGNMENT, 0, "{name}: {}", slot.name);
            assert!(range.end <= plan.slot(arena).len(), "{name}: {} ends behind its arena", slot.name);
            assert_eq!(plan.slot(arena).place, Place::Own, "{name}: the arena of {}", slot.name);
            for (other, taken, other_name) in &parts {
                let apart = *other != arena || range.end <= taken.start || taken.end <= range.start;
                assert!(apart, "{name}: {} overlaps {other_name}", slot.name);
            }
            parts.push((arena, range, &slot.name));
        }
        // A parameter and its gradient have the same offset: Adam goes over whole arenas.
        for id in plan.ids() {
            if let Some(gradient) = plan.find(&format!("{}.gradient", plan.slot(id).name)) {
                assert_eq!(plan.storage(id).1, plan.storage(gradient).1, "{name}: {}", plan.slot(id).name);
            }
        }
        for arena in [slots::GRADIENTS, slots::MOMENTS[0], slots::MOMENTS[1]].iter().filter_map(|name| plan.find(name))
        {
            assert_eq!(plan.slot(arena).len(), plan.slot(plan.id("parameters")).len(), "{name}");
        }
    }
}

#[test]
fn bytes_are_those_of_the_buffers() {
    let roles = [
        Role::Parameter,
        Role::Gradient,
        Role::Moment,
        Role::State,
        Role::Constant,
        Role::Prepared,
        Role::Activation,
        Role::Input,
        Role::Statistic,
    ];
    for (name, plan) in crate::common::plans() {
        let size = |slot: &Slot| if slot.element == Element::F16 { 2 } else { 4 };
        let own = plan.slots().iter().filter(|slot| slot.place == Place::Own);
        let own: usize = own.map(|slot| (size(slot) * slot.dims.iter().product::<usize>()).next_multiple_of(4)).sum();
        assert_eq!(plan.bytes(), plan.buffers().iter().map(|buffer| buffer.bytes).sum::<u64>(), "{name}");
        let unshared = plan.clone().unshared();
        assert_eq!(unshared.bytes(), own as u64, "{name}");
        assert!(plan.bytes() <= unshared.bytes(), "{name}");
        assert_eq!(roles.iter().map(|&role| plan.bytes_of(role)).sum::<u64>(), plan.bytes(), "{name}: by role");
    }
}

/// Every call finds in each slot what was last written to that very slot, whoever else has lived in its memory, and
/// what no call reads is still there in the end.
#[test]
fn activations_share_memory_without_meeting() {
    for (name, plan) in crate::common::plans() {
        let mut tenants: Vec<Option<SlotId>> = vec![None; plan.buffers().len()];
        let mut read: Vec<bool> = vec![false; plan.slots().len()];
        for call in plan.calls() {
            let args = call.at.args();
            for (arg, &id) in args.iter().zip(&call.args).filter(|(_, id)| plan.slot(**id).role == Role::Activation) {
                let (buffer, start) = plan.storage(id);
                assert!(start + plan.slot(id).len() <= plan.buffers()[buffer].len, "{name}: {}", plan.slot(id).name);
                assert!(plan.slot(id).bytes() <= plan.buffers()[buffer].bytes, "{name}: {}", plan.slot(id).name);
                if arg.access == siamese::kernel::Access::Write {
                    tenants[buffer] = Some(id);
                } else {
                    read[id.index()] = true;
                }
            }
            // After the writes: an output must not take the memory of an input either.
            for &id in call.args.iter().filter(|id| plan.slot(**id).role == Role::Activation) {
                assert_eq!(tenants[plan.storage(id).0], Some(id), "{name}: {} at {}", plan.slot(id).name, call.at);
            }
        }
        for id in plan.ids().filter(|&id| plan.slot(id).role == Role::Activation) {
            let is_there = tenants[plan.storage(id).0] == Some(id);
            assert!(is_there || !plan.keeps(id), "{name}: {} is gone", plan.slot(id).name);
            assert!(plan.keeps(id) || read[id.index()], "{name}: {} is lost", plan.slot(id).name);
        }
    }
    // Of a batch whose images outweigh what is summed in parts.
    let plan = train(&parse(CNN), 32);
    assert!(3 * plan.bytes_of(Role::Activation) < 2 * plan.clone().unshared().bytes_of(Role::Activation));
}

#[test]
fn sections_partition_the_calls() {
    let sections = [
        Section::Prepare,
        Section::Gather,
        Section::Forward,
        Section::Loss,
        Section::Backward,
        Section::Sum,
        Section::Update,
    ];
    for (name, plan) in crate::common::plans() {
        let mut next = 0;
        for section in sections {
            let range = plan.section(section);
            assert_eq!(range.start, next, "{name}: {section:?} begins where the one before ends");
            assert!(plan.calls()[range.clone()].iter().all(|call| call.section == section), "{name}: {section:?}");
            next = range.end;
        }
        assert_eq!(0..next, plan.all(), "{name}");
        if name.ends_with(".train") {
            assert!(
                sections[1..].iter().all(|&section| section == Section::Sum || !plan.section(section).is_empty()),
                "{name} has an empty section"
            );
        }
    }
}

/// Section, kernel at its shape, and slot names of a range of calls.
fn listing(plan: &Plan, calls: Range<usize>) -> Vec<String> {
    plan.calls()[calls]
        .iter()
        .map(|call| {
            let names: Vec<_> = call.args.iter().map(|&id| plan.slot(id).name.as_str()).collect();
            format!("{:?} {} {}", call.section, call.at, names.join(" "))
        })
        .collect()
}

#[test]
fn the_inference_plan_is_the_first_part_of_the_training_plan() {
    for preset in PRESETS {
        let net = Net::parse(&preset.config().spec, preset.input).expect("a preset parses");
        let (training, inference) = (train(&net, 5), inference_plan(&net, &source(), 15, slots::PARAMETERS));
        // A network with normalisations is another one then: they are folded into the layers before them.
        if !inference.section(Section::Prepare).is_empty() {
            continue;
        }
        let first = 0..training.section(Section::Forward).end;
        assert_eq!(listing(&training, first), listing(&inference, inference.all()), "{}", preset.name);
    }
}

#[test]
fn equal_settings_make_equal_plans() {
    let net = parse(CNN);
    assert_eq!(train(&net, 3).to_string(), train(&net, 3).to_string());
    assert_ne!(train(&net, 3).to_string(), train(&net, 4).to_string());
}

#[test]
fn every_gradient_is_written_once_and_every_activation_is_used() {
    for (name, plan) in crate::common::plans() {
        let mut writers = vec![0; plan.slots().len()];
        let mut readers = vec![0; plan.slots().len()];
        for call in plan.calls() {
            for (arg, &id) in call.at.args().iter().zip(&call.args) {
                // An update adds to what is there.
                writers[id.index()] += usize::from(arg.access == siamese::kernel::Access::Write);
                readers[id.index()] += usize::from(arg.access != siamese::kernel::Access::Write);
            }
        }
        for (place, slot) in plan.slots().iter().enumerate() {
            let part = slot.place != Place::Own;
            match slot.role {
                Role::Gradient if part => assert_eq!(writers[place], 1, "{name}: writers of {}", slot.name),
                Role::Activation => assert_eq!(writers[place], 1, "{name}: writers of {}", slot.name),
                Role::Input => assert!(readers[place] > 0, "{name}: nothing reads {}", slot.name),
                _ => {}
            }
        }
    }
}

#[test]
fn windows_have_pytorch_s_sizes() {
    // Input size, kernel, stride, padding "same"; what torch.nn.Conv2d makes of it.
    for (size, kernel, stride, same, expected) in [
        (28, 3, 1, true, Some(28)),
        (28, 3, 1, false, Some(26)),
        (28, 3, 2, true, Some(14)),
        (28, 5, 2, true, Some(14)),
        (27, 3, 2, true, Some(14)),
        (28, 3, 2, false, Some(13)),
        (28, 1, 2, true, Some(14)),
        (7, 3, 2, true, Some(4)),
        (7, 3, 2, false, Some(3)),
        (8, 3, 3, false, Some(2)),
        (11, 3, 3, false, Some(3)),
        (9, 5, 2, true, Some(5)),
        (6, 5, 2, true, Some(3)),
        (5, 5, 1, false, Some(1)),
        (4, 5, 1, false, None),
        (4, 5, 1, true, Some(4)),
        (1, 3, 1, true, Some(1)),
        (1, 7, 4, true, Some(1)),
        (2, 3, 1, false, None),
        (10, 3, 255, true, Some(1)),
    ] {
        // One axis, then the other, so that the two cannot be mixed up.
        for (height, width) in [(size, 16), (16, size)] {
            let window = Window::new([2, height, width, 3], 4, &Taps::square(kernel, stride, same));
            let what = format!("{height}×{width}, kernel {kernel}, stride {stride}, same {same}");
            let Some(expected) = expected else {
                assert!(window.is_none(), "{what}");
                continue;
            };
            let window = window.unwrap_or_else(|| panic!("{what} is refused"));
            let (along, padded) = if height == size { (window.out_height, size) } else { (window.out_width, size) };
            assert_eq!(along, expected, "{what}");
            assert_eq!(along, (padded + 2 * window.pad_y - (kernel - 1) - 1) / stride + 1, "{what}: PyTorch's formula");
            assert_eq!(window.outputs(), 2 * window.out_height * window.out_width * 4, "{what}");
        }
    }
    for (size, pool, expected) in [(28, 2, Some(14)), (7, 2, Some(3)), (8, 3, Some(2)), (2, 3, None), (5, 1, Some(5))] {
        let shape = PoolShape::new([1, size, 9, 2], pool, pool, 0);
        assert_eq!(shape.map(|shape| shape.out_height), expected, "pool {pool} over {size}");
    }
}

/// The kernels of a section of a training plan.
fn kernels(spec: &str, section: Section) -> Vec<&'static str> {
    let plan = train(&parse(spec), 2);
    plan.section(section).map(|call| plan.calls()[call].at.name()).collect()
}

/// Where a kernel does what two do, and nobody else takes what lies between them, that has no slot.
#[test]
fn a_convolution_and_its_pooling_are_one_call() {
    assert_eq!(kernels(CNN, Section::Forward), ["conv2d_pool", "conv2d_pool", "dense", "dense", "l2norm"],);
    let plan = train(&parse(CNN), 2);
    assert!(plan.find("conv1").is_none() && plan.find("conv2").is_none() && plan.find("pool1.dx").is_none());
    let of_pools = |spec| -> Vec<_> {
        let all = kernels(spec, Section::Backward).into_iter();
        all.filter(|name| name.contains("pool") || name.ends_with("_dw") && name.contains("conv")).collect()
    };
    // 61 MB; with the outputs and gradients of all pixels 90.
    assert!(train(&parse(CNN), 128).bytes() < 62_000_000);
    // The second convolution has a gradient by its input too, which needs all pixels.
    assert_eq!(of_pools(CNN), ["maxpool_dx", "conv2d_dw", "conv2d_pool_dw"]);
    // Few columns have no fast shader for it.
    assert_eq!(of_pools("conv12 pool dense4"), ["maxpool_dx", "conv2d_dw"]);

    for spec in [
        "conv16 pool3 dense4",
        "conv16 pool3s2 dense4",
        "conv16 pool2s1 dense4",
        "conv16 bn pool dense4",
        "conv16 leaky0.1 pool dense4",
        "conv16 conv16g4 pool dense4",
        "conv16 cat( pool | conv4s2 ) dense4",
    ] {
        assert!(kernels(spec, Section::Forward).contains(&"maxpool"), "{spec}");
    }
}

/// A slope is taken in the gradient's place where nobody else takes that, and its section makes it anew.
#[test]
fn slopes_are_taken_in_place() {
    let slopes = |spec| -> Vec<_> {
        kernels(spec, Section::Backward).into_iter().filter(|name| name.starts_with("act")).collect()
    };
    assert_eq!(slopes(CNN), ["act_by"; 3]);
    // The loss has made the gradient of the embedding.
    assert_eq!(slopes("dense8 relu"), ["act_dx"]);
    assert_eq!(slopes("conv4 relu conv4 add( relu | ) dense4"), ["act_dx", "act_by"]);
}

#[test]
fn pooling_and_activation_may_change_places() {
    for (one, other) in [
        ("conv8 relu pool dense4", "conv8 pool relu dense4"),
        ("conv8 sigmoid pool pool3 dense4 l2", "conv8 pool pool3 sigmoid dense4 l2"),
    ] {
        let [first, second] = [one, other].map(|spec| train(&parse(spec), 2));
        assert_eq!(listing(&first, first.all()), listing(&second, second.all()), "{one} | {other}");
        assert_eq!(first.to_string(), second.to_string(), "{one} | {other}");
    }
    let [first, second] = ["conv8 relu pool dense4", "conv8 pool dense4 relu"].map(|spec| train(&parse(spec), 2));
    assert_ne!(listing(&first, first.all()), listing(&second, second.all()), "two different networks");
}
