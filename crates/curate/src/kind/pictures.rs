//! Kinds of folders with pictures and what is drawn on them.

use super::Patterns;
use crate::pattern::Pattern;
use serde::Deserialize;

/// `[source.kind.class_folders]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassFolders {
    /// The pictures, e.g. `{class}/{stem}.png`.
    pub images: Patterns,
}

/// `[source.kind.csv_labels]`; the tables stand in `[[source.table]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvLabels {
    /// The pictures, e.g. `images/{stem}.png`.
    pub images: Patterns,
}

/// `[source.kind.voc]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voc {
    /// The pictures, e.g. `JPEGImages/{stem}.jpg`.
    pub images: Patterns,
    /// The XML file of a picture, e.g. `Annotations/{stem}.xml`.
    pub annotations: Pattern,
}

/// `[source.kind.coco]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coco {
    /// The pictures, e.g. `train/*.jpg`.
    pub images: Patterns,
    /// The JSON files.
    pub annotations: Vec<String>,
    /// Folder that `file_name` is relative to; the JSON file's own folder when absent.
    pub image_folder: Option<String>,
}

/// `[source.kind.yolo]`; region terms are named by class number.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Yolo {
    /// The pictures, e.g. `images/{stem}.jpg`.
    pub images: Patterns,
    /// The text file of a picture, e.g. `labels/{stem}.txt`.
    pub labels: Pattern,
}

/// How many boxes a mask gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Instances {
    /// One around all of it: an organ, a vessel tree.
    Whole,
    /// One around each connected part: lesions, cells.
    Components,
}

/// `[source.kind.instance_masks]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceMasks {
    /// The pictures, e.g. `{case}/images/{stem}.png`.
    pub images: Patterns,
    /// The masks of a picture, e.g. `{case}/masks/*.png`.
    pub masks: Pattern,
}

/// `[source.kind.mask_beside]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskBeside {
    /// The pictures, e.g. `images/{stem}.png`.
    pub images: Patterns,
    /// The mask of a picture, e.g. `masks/{stem}.png`.
    pub masks: Pattern,
    /// How many boxes a mask gives.
    pub instances: Instances,
}

/// `[source.kind.kitti]`: one text file per picture, a line per box: class, three numbers, left, top, right, bottom, more numbers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kitti {
    /// The pictures, e.g. `images/{stem}.png`.
    pub images: Patterns,
    /// The text file of a picture, e.g. `labels/{stem}.txt`.
    pub labels: Pattern,
}

/// `[source.kind.labelme]`: one LabelMe JSON file per picture with polygons, rectangles, circles, points and masks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelMe {
    /// The pictures, e.g. `images/{stem}.jpg`.
    pub images: Patterns,
    /// The JSON file of a picture, e.g. `images/{stem}.json`.
    pub annotations: Pattern,
}

/// What the numbers of boxes and points are measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Units {
    /// Pixels of the picture.
    Pixels,
    /// Shares of width and height.
    Fractions,
}

/// Columns that say where a mark lies.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MarkColumns {
    /// Left, top, right, bottom.
    Edges([String; 4]),
    /// Left, top, width, height.
    CornerSize([String; 4]),
    /// Middle from the left, middle from the top, width, height.
    CenterSize([String; 4]),
    /// A point: from the left, from the top.
    Point([String; 2]),
}

impl MarkColumns {
    /// The names of the columns.
    pub fn names(&self) -> &[String] {
        match self {
            MarkColumns::Edges(names) | MarkColumns::CornerSize(names) | MarkColumns::CenterSize(names) => names,
            MarkColumns::Point(names) => names,
        }
    }
}

/// `[source.kind.csv_boxes]`: tables (CSV, TSV, JSON) with a row per box or point; several rows may be about one picture.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvBoxes {
    /// The pictures, e.g. `images/{stem}.png`.
    pub images: Patterns,
    /// The tables.
    pub files: Vec<String>,
    /// Column that names the picture.
    pub key: String,
    /// What the key equals, made of the picture's fields, e.g. `{stem}.png`.
    pub matches: Pattern,
    /// Column with the name of what is marked.
    pub label: String,
    /// Where the mark lies. A row with all of these columns empty says that nothing is marked in its picture.
    pub columns: MarkColumns,
    /// What the numbers are measured in.
    pub units: Units,
}

/// `[source.kind.points]`: one text file per picture, a line per point.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Points {
    /// The pictures, e.g. `images/{stem}.jpg`.
    pub images: Patterns,
    /// The text file of a picture, e.g. `labels/{stem}.txt`.
    pub labels: Pattern,
    /// What stands in a line, separated by blanks, commas, semicolons or tabs.
    #[serde(default = "x_y_class")]
    pub order: Vec<PointColumn>,
    /// What the numbers are measured in; pixels by default.
    #[serde(default = "pixels")]
    pub units: Units,
}

fn x_y_class() -> Vec<PointColumn> {
    vec![PointColumn::X, PointColumn::Y, PointColumn::Class]
}

fn pixels() -> Units {
    Units::Pixels
}

/// What one word in the line of a point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointColumn {
    /// From the left.
    X,
    /// From the top.
    Y,
    /// Name of what lies there.
    Class,
    /// Something else.
    Ignored,
}

/// `[source.kind.observer_masks]`: the masks that several people drew on one picture.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObserverMasks {
    /// The pictures, e.g. `images/{stem}.jpg`.
    pub images: Patterns,
    /// The mask of each observer, e.g. `["first/{stem}.png", "second/{stem}.png"]`; that of the first is the region.
    pub masks: Vec<Pattern>,
    /// How many boxes the first observer's mask gives.
    pub instances: Instances,
    /// Least Dice coefficient between any two observers; below it the picture is quarantined.
    #[serde(default = "least_dice")]
    pub least_dice: f64,
}

/// Below this overlap two drawings are commonly taken for two opinions (0.7 is the usual border of good agreement).
fn least_dice() -> f64 {
    0.7
}
