using System.Text.RegularExpressions;

namespace Sluice.Domain.Declarations;

/// <summary>A parsed source of a model. Pure.</summary>
/// <param name="Kind">The kind of the source.</param>
/// <param name="Location">
/// The absolute path of a folder, <c>owner/name</c> of a repository, <c>bucket/prefix</c>, the name of an image,
/// <c>name/version</c>, or the address of a file.
/// </param>
/// <param name="Revision">The branch, tag or commit of a repository; empty for the other kinds.</param>
public sealed partial record ModelSource(ModelSourceKind Kind, string Location, string Revision = "")
{
    /// <summary>The accepted forms, for error messages.</summary>
    public const string Forms = "path:/folder, /folder, model://name/version, hf://owner/name[@revision], "
        + "s3://bucket/prefix, oci://registry/name:tag or http(s)://host/file";

    /// <summary>The beginning of the source of an uploaded model.</summary>
    public const string UploadedPrefix = "model://";

    private const string Folder = "path:", HuggingFace = "hf://", S3 = "s3://", Oci = "oci://";

    private const int MaxLength = 2048;

    /// <summary>Parses a source. Returns null if the text has none of the <see cref="Forms"/>.</summary>
    public static ModelSource? Parse(string text)
    {
        if (text.Length > MaxLength || text.Any(c => char.IsControl(c) || c == ' ')) return null;
        if (text.StartsWith('/') || text.StartsWith(Folder, StringComparison.Ordinal))
            return ParseFolder(text.StartsWith('/') ? text : text[Folder.Length..]);
        if (text.StartsWith(HuggingFace, StringComparison.Ordinal))
            return Repository().Match(text[HuggingFace.Length..]) is { Success: true } match
                ? new ModelSource(ModelSourceKind.HuggingFace, match.Groups["id"].Value,
                    match.Groups["revision"].Value is { Length: > 0 } revision ? revision : "main")
                : null;
        if (text.StartsWith(S3, StringComparison.Ordinal))
            return Bucket().IsMatch(text[S3.Length..])
                ? new ModelSource(ModelSourceKind.S3, text[S3.Length..].TrimEnd('/')) : null;
        if (text.StartsWith(Oci, StringComparison.Ordinal))
            return Image().IsMatch(text[Oci.Length..])
                ? new ModelSource(ModelSourceKind.Image, text[Oci.Length..]) : null;
        if (text.StartsWith(UploadedPrefix, StringComparison.Ordinal))
            return Version().IsMatch(text[UploadedPrefix.Length..])
                ? new ModelSource(ModelSourceKind.Uploaded, text[UploadedPrefix.Length..]) : null;
        return Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"
            && uri.Host.Length > 0 && uri.UserInfo.Length == 0 && uri.AbsolutePath.Length > 1
            ? new ModelSource(ModelSourceKind.Http, text) : null;
    }

    private static ModelSource? ParseFolder(string path) => path.TrimEnd('/') is { Length: > 0 } folder
        && folder.StartsWith('/') && !folder.Split('/')[1..].Any(p => p is "" or "." or "..")
        ? new ModelSource(ModelSourceKind.Folder, folder) : null;

    [GeneratedRegex(@"^[a-z0-9][a-z0-9.-]{2,62}(/.*)?\z")]
    private static partial Regex Bucket();

    [GeneratedRegex("^[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?/[a-z0-9._/-]{1,255}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
        + @"(@sha256:[0-9a-f]{64})?\z")]
    private static partial Regex Image();

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}/[A-Za-z0-9][A-Za-z0-9._-]{0,99}\z")]
    private static partial Regex Version();

    [GeneratedRegex("^(?<id>[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.-]{0,95})"
        + @"(@(?<revision>[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}))?\z")]
    private static partial Regex Repository();
}
