namespace Sluice.Models.Downloads;

/// <summary>One file of a source.</summary>
/// <param name="Path">Its path in the folder of the model, with <c>/</c>.</param>
/// <param name="Request">Creates a GET request for it. It is called for each attempt.</param>
public sealed record RemoteFile(string Path, Func<CancellationToken, Task<HttpRequestMessage>> Request)
{
    /// <summary>Its size in bytes; null: the server reports it with the content.</summary>
    public long? Size { get; init; }

    /// <summary>Its digest; null: the source states none.</summary>
    public ContentDigest? Digest { get; init; }

    /// <summary>Reads the digest of the file from a response with all of it; null: the server states none.</summary>
    public Func<HttpResponseMessage, ContentDigest?>? ReadDigest { get; init; }

    /// <summary>Whether it may be an archive, whose content is the model.</summary>
    public bool MayBeArchive { get; init; }
}
