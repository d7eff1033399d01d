using System.Text.RegularExpressions;

namespace Sluice.Domain.Declarations;

/// <summary>A parsed source of a model. Pure.</summary>
/// <param name="Kind">The kind of the source.</param>
/// <param name="Location">
/// The absolute path of a folder, <c>owner/name</c> of a repository, <c>bucket/prefix</c>, or the address of a file.
/// </param>
/// <param name="Revision">The branch, tag or commit of a repository; empty for the other kinds.</param>
public sealed partial record ModelSource(ModelSourceKind Kind, string Location, string Revision = "")
{
    /// <summary>The accepted forms, for error messages.</summary>
    public const string Forms = "/folder, hf://owner/name[@revision], s3://bucket/prefix or http(s)://host/file";

    private const string HuggingFace = "hf://", S3 = "s3://";

    private const int MaxLength = 2048;

    /// <summary>Parses a source. Returns null if the text has none of the <see cref="Forms"/>.</summary>
    public static ModelSource? Parse(string text)
    {
        if (text.Length > MaxLength || text.Any(c => char.IsControl(c) || c == ' ')) return null;
        if (text.StartsWith('/'))
            return text.Length > 1 && !text.Split('/').Any(p => p is "." or "..")
                ? new ModelSource(ModelSourceKind.Folder, text.TrimEnd('/')) : null;
        if (text.StartsWith(HuggingFace, StringComparison.Ordinal))
            return Repository().Match(text[HuggingFace.Length..]) is { Success: true } match
                ? new ModelSource(ModelSourceKind.HuggingFace, match.Groups["id"].Value,
                    match.Groups["revision"].Value is { Length: > 0 } revision ? revision : "main")
                : null;
        if (text.StartsWith(S3, StringComparison.Ordinal))
            return Bucket().IsMatch(text[S3.Length..])
                ? new ModelSource(ModelSourceKind.S3, text[S3.Length..].TrimEnd('/')) : null;
        return Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"
            && uri.Host.Length > 0 && uri.UserInfo.Length == 0 && uri.AbsolutePath.Length > 1
            ? new ModelSource(ModelSourceKind.Http, text) : null;
    }

    [GeneratedRegex(@"^[a-z0-9][a-z0-9.-]{2,62}(/.*)?\z")]
    private static partial Regex Bucket();

    [GeneratedRegex("^(?<id>[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.-]{0,95})"
        + @"(@(?<revision>[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}))?\z")]
    private static partial Regex Repository();
}
