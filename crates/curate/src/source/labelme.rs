//! LabelMe: one JSON file per picture with shapes: polygons, rectangles, circles, points, lines and masks, in pixels.

use super::{Boxes, Folder, Frame, Item, MarkedBox, MarkedPoint, Marks, outline};
use crate::Result;
use crate::kind::LabelMe;
use crate::ledger::{Defect, Ledger};
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Deserialize)]
struct Document {
    #[serde(default, rename = "imageWidth")]
    width: Option<u32>,
    #[serde(default, rename = "imageHeight")]
    height: Option<u32>,
    shapes: Vec<Shape>,
}

#[derive(Deserialize)]
struct Shape {
    label: String,
    #[serde(default)]
    points: Vec<[f64; 2]>,
    /// Polygon in files of the first versions, which have no other shape.
    #[serde(default = "polygon")]
    shape_type: String,
}

fn polygon() -> String {
    "polygon".to_string()
}

pub(super) fn read(folder: &Folder, kind: &LabelMe, ledger: &mut Ledger) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut used = BTreeSet::new();
    for mut item in folder.pictures(&kind.images)? {
        let parsed = folder.beside(&item, &kind.annotations, parse, (&mut used, &mut *ledger));
        if let Some((file, boxes)) = parsed {
            item.annotation = Some(file);
            item.marks = Marks::Boxes(boxes);
            items.push(item);
        }
    }
    folder.quarantine_orphans(&kind.annotations, &used, ledger);
    Ok(items)
}

fn parse(file: &str, text: &str) -> std::result::Result<Boxes, Defect> {
    let document: Document = serde_json::from_str(text).map_err(|error| {
        let field = format!("line {}, column {}", error.line(), error.column());
        Defect::new(file, field, error.to_string(), "save the annotation again with LabelMe")
    })?;
    let frame = match (document.width, document.height) {
        (Some(width), Some(height)) if width > 0 && height > 0 => Frame::Pixels { width, height },
        _ => Frame::Unstated,
    };
    let mut boxes = Boxes::none(file, frame);
    for (index, shape) in document.shapes.into_iter().enumerate() {
        let place = format!("shapes, entry {}", index + 1);
        if shape.shape_type == "point" {
            let at = shape.points.first().copied().unwrap_or([f64::NAN; 2]);
            boxes.points.push(MarkedPoint { name: shape.label, at, place });
            continue;
        }
        let outline = outline_of(&shape);
        let mut marked = MarkedBox::new(shape.label, outline::edges(&outline), place);
        // The box of a drawn mask is all that is read of it: its pixels are a picture inside the JSON.
        if let (Frame::Pixels { width, height }, "polygon" | "circle") = (frame, shape.shape_type.as_str()) {
            marked.mask = outline::union(width, height, &[outline]);
        }
        boxes.boxes.push(marked);
    }
    Ok(boxes)
}

/// The corners of a shape; none when it has too few points for what it is, or is a line, which has no inside.
fn outline_of(shape: &Shape) -> Vec<[f64; 2]> {
    match (shape.shape_type.as_str(), shape.points.as_slice()) {
        ("circle", [center, on_it]) => outline::circle(*center, *on_it),
        ("rectangle" | "mask", [_, _]) => shape.points.clone(),
        ("polygon", points) if points.len() >= 3 => points.to_vec(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"version": "5.5.0", "imagePath": "a.jpg", "imageData": null, "imageHeight": 50, "imageWidth": 100, "shapes": [
        {"label": "polyp", "points": [[10, 10], [30, 10], [30, 20], [10, 20]], "shape_type": "polygon", "flags": {}},
        {"label": "polyp", "points": [[60, 40], [50, 30]], "shape_type": "rectangle"},
        {"label": "centre", "points": [[25, 25.5]], "shape_type": "point"},
        {"label": "disc", "points": [[50, 25], [60, 25]], "shape_type": "circle"},
        {"label": "wire", "points": [[1, 1], [2, 2]], "shape_type": "linestrip"}]}"#;

    #[test]
    fn shapes_become_boxes_masks_and_points() {
        let read = parse("a.json", JSON).unwrap();
        assert!(matches!(read.frame, Frame::Pixels { width: 100, height: 50 }));
        assert_eq!((read.boxes.len(), read.points.len()), (4, 1));
        assert_eq!(read.boxes[0].mask.as_ref().unwrap().area(), 200);
        assert_eq!(read.boxes[1].edges, [50.0, 30.0, 60.0, 40.0], "corners in any order");
        assert_eq!((read.points[0].name.as_str(), read.points[0].at), ("centre", [25.0, 25.5]));
        assert!((read.boxes[2].edges[0] - 40.0).abs() < 1e-9);
        assert!(read.boxes[3].edges[0].is_nan(), "a line has no inside");
        assert_eq!(read.boxes[3].place, "shapes, entry 5");
    }

    #[test]
    fn truncated_files_name_the_place() {
        let defect = parse("a.json", &JSON[..200]).map(|_| ()).unwrap_err();
        assert!(defect.field.starts_with("line "), "{}", defect.field);
    }
}
