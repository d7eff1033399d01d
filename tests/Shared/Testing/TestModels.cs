using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Models.Cache;
using Sluice.Models.Sources;
using Sluice.Models.Uploads;

namespace Sluice.Testing;

/// <summary>Creates stores of models in folders for temporary files.</summary>
public static class TestModels
{
    /// <summary>A store in a folder, or in a new one, which is created only when a model is delivered.</summary>
    /// <param name="folder">The folder; null: a new one.</param>
    /// <param name="maxBytes">The limit of the store.</param>
    /// <param name="server">The server of hf:// sources.</param>
    /// <param name="token">The token for this server.</param>
    /// <param name="s3">The server of s3:// sources.</param>
    /// <param name="oci">The credentials of oci:// sources.</param>
    /// <param name="uploads">The uploaded models; null: a folder in the store's.</param>
    public static ModelStore Store(
        string? folder = null, long maxBytes = 1L << 30, Uri? server = null, string token = "",
        S3Settings? s3 = null, OciSettings? oci = null, UploadStore? uploads = null)
    {
        folder ??= Path.Combine(Path.GetTempPath(), $"sluice-store-{Guid.NewGuid():N}");
        var sources = new SourceSettings { HuggingFaceToken = token, S3 = s3 ?? new S3Settings() };
        if (server is not null) sources = sources with { HuggingFace = server };
        if (oci is not null) sources = sources with { Oci = oci };
        uploads ??= new UploadStore(new UploadSettings(Path.Combine(folder, "uploads"), maxBytes));
        return new ModelStore(new ModelStoreSettings(folder, maxBytes), sources, uploads, TimeProvider.System,
            NullLogger<ModelStore>.Instance);
    }
}
