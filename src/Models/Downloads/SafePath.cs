namespace Sluice.Models.Downloads;

/// <summary>
/// Accepts names of files that stay in their folder on every system. Names come from servers and archives, which are
/// not trusted. Pure.
/// </summary>
public static class SafePath
{
    /// <summary>The rule, for error messages.</summary>
    public const string Rule = "a relative path without '..', '\\', ':' and control characters, of at most 512 bytes";

    private const int MaxBytes = 512, MaxPart = 255;

    /// <summary>Whether a path, with <c>/</c> between its parts, names a file inside its folder.</summary>
    public static bool IsSafe(string path) => path.Length > 0
        && System.Text.Encoding.UTF8.GetByteCount(path) <= MaxBytes
        && !path.Any(c => char.IsControl(c) || c is '\\' or ':')
        && path.Split('/').All(p => p is not ("" or "." or "..")
            && System.Text.Encoding.UTF8.GetByteCount(p) <= MaxPart);

    /// <summary>Returns a name that can be shown in a message: printable and short.</summary>
    public static string Printable(string path)
    {
        var text = new string([.. path.Take(200).Select(c => char.IsControl(c) ? '?' : c)]);
        return path.Length > 200 ? text + "..." : text;
    }
}
