namespace Sluice.Models.Sources;

/// <summary>The server of <c>s3://</c> sources and the keys for it.</summary>
public sealed record S3Settings
{
    /// <summary>The server, which ends with <c>/</c>; null: that of Amazon in the region.</summary>
    public Uri? Endpoint { get; init; }

    /// <summary>The region, which is part of the signature.</summary>
    public string Region { get; init; } = "us-east-1";

    /// <summary>The id of the access key; empty: requests are not signed, for public buckets.</summary>
    public string AccessKeyId { get; init; } = "";

    public string SecretAccessKey { get; init; } = "";

    /// <summary>The token of temporary keys; empty: none.</summary>
    public string SessionToken { get; init; } = "";

    /// <summary>The server that is used.</summary>
    public Uri Server => Endpoint ?? new Uri($"https://s3.{Region}.amazonaws.com/");
}
