//! Where tensors live. The only file that knows which engines were compiled in.

use burn::tensor::Device;

/// The device that computes: the first CUDA device when the program was built with the `cuda` feature, otherwise the CPU.
pub fn default_device() -> Device {
    #[cfg(feature = "cuda")]
    {
        Device::cuda(0)
    }
    #[cfg(not(feature = "cuda"))]
    {
        cpu()
    }
}

/// The CPU engine (`flex`): pure Rust, the same result on every run.
pub fn cpu() -> Device {
    Device::flex()
}

/// What a user is told about the device.
pub fn describe() -> String {
    if cfg!(feature = "cuda") {
        "CUDA device 0".to_owned()
    } else {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        format!("CPU, {threads} threads")
    }
}
