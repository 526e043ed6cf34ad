//! Settings as older checkpoints have them.

use serde_json::json;
use siamese::config::{Config, PRESETS};

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

    settings["train_labels"] = json!(null);
    let config: Config = serde_json::from_value(settings).unwrap();
    assert_eq!(config.train_classes, None);
}
