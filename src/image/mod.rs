//! Composes layers and configuration to an image.

mod build;
mod documents;
mod request;

pub use build::{BuildResult, LayerSummary, build};
pub use request::{
    ArchiveRequest, CacheRequest, CompressionRequest, ConfigRequest, ImageSpec, OutputRequest, PlatformRequest,
    SourceRequest,
};
