namespace Sluice.Gateway.Usage;

/// <summary>
/// The folder <c>usage</c> in the data folder, with a file for the requests of each gateway process that the ledger has
/// not confirmed. A process that ends as it should deletes its file.
/// </summary>
/// <param name="path">The folder. It is created if it does not exist.</param>
public sealed class UsageFolder(string path)
{
    private const string Extension = ".sums";

    /// <summary>Returns the files that earlier processes left.</summary>
    /// <exception cref="IOException">The folder cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder cannot be read.</exception>
    internal IReadOnlyList<string> FindLeft() =>
        Directory.Exists(path) ? [.. Directory.GetFiles(path, "*" + Extension).Order(StringComparer.Ordinal)] : [];

    /// <summary>Creates the file of this process.</summary>
    /// <exception cref="IOException">The file cannot be created.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder cannot be written.</exception>
    internal UsageFile Create(string gateway)
    {
        Directory.CreateDirectory(path);
        return UsageFile.Create(Path.Combine(path, $"{Guid.NewGuid():N}{Extension}"), gateway);
    }
}
