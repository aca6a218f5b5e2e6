//! Which stored values are shown black and which white.

use crate::volume::Volume;
use gmai_schema::WindowRef;
use serde::{Deserialize, Serialize};

/// How the window of a volume is found; it then holds for all its slices.
///
/// In a config: `window = "min_max"`, `window = { percentile = { low = 0.5, high = 99.5 } }` or
/// `window = { fixed = { low = -160, high = 240 } }`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WindowRule {
    /// From the smallest to the largest value.
    MinMax,
    /// Between two percentiles (0 to 100) of the values: a few extreme voxels do not darken the rest.
    Percentile {
        /// Share of values, in percent, at or below black.
        low: f32,
        /// Share of values, in percent, at or below white.
        high: f32,
    },
    /// Fixed values in rescaled units: Hounsfield units for CT.
    Fixed {
        /// Value shown black.
        low: f32,
        /// Value shown white.
        high: f32,
    },
}

impl WindowRule {
    /// Soft tissue of the abdomen: level 40, width 400 Hounsfield units.
    pub const CT_SOFT_TISSUE: WindowRule = WindowRule::Fixed { low: -160.0, high: 240.0 };
}

/// The 0.5th to the 99.5th percentile, the usual choice for MR, which has no absolute scale.
impl Default for WindowRule {
    fn default() -> WindowRule {
        WindowRule::Percentile { low: 0.5, high: 99.5 }
    }
}

/// The window that `rule` gives for `volume`. White always lies above black, also when all values are equal.
pub fn window(volume: &Volume, rule: WindowRule) -> WindowRef {
    let window = match rule {
        WindowRule::MinMax => volume.value_range(),
        WindowRule::Percentile { low, high } => {
            WindowRef { low: volume.percentile(low), high: volume.percentile(high) }
        }
        WindowRule::Fixed { low, high } => WindowRef { low, high },
    };
    widened(window)
}

/// A window without width would divide by zero; it becomes one unit (or one step of the number format) wide.
pub(crate) fn widened(window: WindowRef) -> WindowRef {
    if window.high > window.low {
        window
    } else {
        WindowRef { low: window.low, high: (window.low + 1.0).max(window.low.next_up()) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::volume::tests::volume;

    #[test]
    fn percentiles_ignore_a_single_bright_voxel() {
        let mut values: Vec<f32> = (0..1000).map(|value| value as f32).collect();
        values[999] = 1e6;
        let volume = volume([10, 10, 10], values);
        assert_eq!(window(&volume, WindowRule::MinMax), WindowRef { low: 0.0, high: 1e6 });
        let robust = window(&volume, WindowRule::default());
        assert!((4.0..=6.0).contains(&robust.low) && (993.0..=996.0).contains(&robust.high), "{robust:?}");
    }

    #[test]
    fn constant_volume_has_a_window_with_width() {
        let window = window(&volume([2, 2, 2], vec![7.0; 8]), WindowRule::MinMax);
        assert!(window.high > window.low);
    }

    #[test]
    fn config_text_is_read_and_unknown_keys_are_refused() {
        let read = |text: &str| serde_json::from_str::<WindowRule>(text);
        assert_eq!(read("\"min_max\"").unwrap(), WindowRule::MinMax);
        assert_eq!(read(r#"{"fixed":{"low":-160,"high":240}}"#).unwrap(), WindowRule::CT_SOFT_TISSUE);
        assert!(read(r#"{"fixed":{"low":-160,"high":240,"centre":1}}"#).is_err());
    }
}
