//! Prints what `read` and `Slide` give for files: `cargo run --release -p gmai-imaging --example shown -- OUT FILE...`. For each file one line
//! of JSON, and pixels (`OUT/N.rgb`) or voxels in patient orientation (`OUT/N.f32`). `bench/imaging/compare_readers.py` compares them with
//! other readers.
#![allow(clippy::print_stdout)] // This is what the program is for.

use gmai_imaging::{Content, Limits, Result, Slide, read};
use gmai_schema::Rgb8;
use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let Some((out, files)) = arguments.split_first() else {
        println!("usage: shown OUT FILE...");
        return Ok(());
    };
    for (index, path) in files.iter().enumerate() {
        let mut line = shown(out, &index.to_string(), path)?;
        line["file"] = path.display().to_string().into();
        line["slide"] = slide(out, index, path)?.into();
        println!("{line}");
    }
    Ok(())
}

fn shown(out: &Path, name: &str, path: &Path) -> std::io::Result<serde_json::Value> {
    let scan = match read(path, &Limits::default()) {
        Err(error) => return Ok(serde_json::json!({ "refused": error.to_string() })),
        Ok(scan) => scan,
    };
    let mut line = serde_json::json!({ "kind": scan.kind.key(), "notes": scan.notes });
    match scan.content {
        Content::Picture(picture) => line["picture"] = keep(out, name, &picture)?,
        Content::Volume(volume) => {
            let bytes: Vec<u8> = volume.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            std::fs::write(out.join(format!("{name}.f32")), bytes)?;
            line["volume"] = serde_json::json!({
                "values": format!("{name}.f32"), "dims": volume.dims, "affine": volume.affine
            });
        }
    }
    Ok(line)
}

fn keep(out: &Path, name: &str, picture: &Rgb8) -> std::io::Result<serde_json::Value> {
    std::fs::write(out.join(format!("{name}.rgb")), picture.pixels())?;
    Ok(serde_json::json!({ "pixels": format!("{name}.rgb"), "size": [picture.width(), picture.height()] }))
}

/// All levels and associated pictures, where the file is a slide.
fn slide(out: &Path, index: usize, path: &Path) -> std::io::Result<Vec<serde_json::Value>> {
    let Ok(mut slide) = Slide::open(path, &Limits::default()) else { return Ok(Vec::new()) };
    let mut pictures: Vec<Result<Rgb8>> = (0..slide.levels().len()).map(|level| slide.level(level)).collect();
    for picture in slide.pictures().to_vec() {
        pictures.push(slide.picture(&picture));
    }
    let line = |(part, picture): (usize, Result<Rgb8>)| match picture {
        Ok(picture) => keep(out, &format!("{index}_{part}"), &picture),
        Err(error) => Ok(serde_json::json!({ "refused": error.to_string() })),
    };
    pictures.into_iter().enumerate().map(line).collect()
}
