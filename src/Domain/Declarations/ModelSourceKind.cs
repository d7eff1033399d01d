namespace Sluice.Domain.Declarations;

/// <summary>The kinds of sources of models.</summary>
public enum ModelSourceKind
{
    /// <summary>A folder that the node of the worker sees: of its disk, of a share, or of a volume.</summary>
    Folder,

    /// <summary>A repository that is served as huggingface.co serves it.</summary>
    HuggingFace,

    /// <summary>An object, or the objects below a prefix, of a server with the API of Amazon S3.</summary>
    S3,

    /// <summary>The layers of an image in a registry.</summary>
    Image,

    /// <summary>A version that an admin uploaded to the gateway.</summary>
    Uploaded,

    /// <summary>A file, an archive or a list of files at an HTTP server.</summary>
    Http,
}
