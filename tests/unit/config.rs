//! Settings as older checkpoints have them.

use serde_json::json;
use siamese::config::{Config, PRESETS, Preset, Storage};

#[test]
fn settings_of_older_checkpoints_are_read() {
    let mut settings = serde_json::to_value(PRESETS[0].config()).unwrap();
    settings.as_object_mut().unwrap().remove("train_classes");
    settings["train_labels"] = json!([0, 3, 12]);
    settings["validation"] = json!({ "images": 5000, "every": 30, "patience": null });
    let config: Config = serde_json::from_value(settings.clone()).unwrap();
    assert_eq!(config.train_classes.unwrap(), ["0", "3", "12"]);
    let validation = config.validation.unwrap();
    assert_eq!((validation.images, validation.bound), (5000, None));

    for (text, storage) in [("f32", Storage::F32), ("f16", Storage::F16), ("f16-matrix", Storage::F16Matrix)] {
        settings["storage"] = json!(text);
        assert_eq!(serde_json::from_value::<Config>(settings.clone()).unwrap().storage, storage);
    }
    settings["train_labels"] = json!(null);
    let config: Config = serde_json::from_value(settings).unwrap();
    assert_eq!(config.train_classes, None);
}

/// A set of pictures is passed through ten times at least, and a small one is not learnt by heart; MNIST's presets have
/// lengths of their own.
#[test]
fn how_long_a_preset_trains_follows_from_the_pictures() {
    let steps = |name: &str, images| {
        let preset: Preset = name.parse().unwrap();
        let batch = preset.config().batch;
        preset.length(&batch, images).steps(&batch, images).unwrap() * batch.rows() as u64
    };
    let own = steps("pictures", 10_000);
    assert!((200_000..200_128).contains(&own));
    assert_eq!(steps("pictures", 20_000), own);
    assert_eq!(steps("pictures", 128_000), 1_280_000);
    assert_eq!(steps("pictures", 128), 64_000);
    assert_eq!(steps("cnn", 100), steps("cnn", 1_000_000));
}
