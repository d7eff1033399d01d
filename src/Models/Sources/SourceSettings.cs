namespace Sluice.Models.Sources;

/// <summary>Addresses and secrets of the sources of models.</summary>
public sealed record SourceSettings
{
    /// <summary>The server of <c>hf://</c> sources; it ends with <c>/</c>.</summary>
    public Uri HuggingFace { get; init; } = new("https://huggingface.co/");

    /// <summary>The token for this server; empty: none. It is sent to no other server.</summary>
    public string HuggingFaceToken { get; init; } = "";

    /// <summary>The server of <c>s3://</c> sources.</summary>
    public S3Settings S3 { get; init; } = new();

    /// <summary>The registry of <c>oci://</c> sources that needs credentials.</summary>
    public OciSettings Oci { get; init; } = new();
}
