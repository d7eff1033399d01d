namespace Sluice.Models.Downloads;

/// <summary>The files of a source at one time.</summary>
/// <param name="Revision">What the source calls this state of the model, for example a commit; may be empty.</param>
/// <param name="Files">The files, at least one.</param>
public sealed record DownloadPlan(string Revision, IReadOnlyList<RemoteFile> Files)
{
    /// <summary>
    /// The folder of an image whose content is the model; the files are then layers. Null: the files are the model.
    /// </summary>
    public string? LayerFolder { get; init; }

    /// <summary>The sum of the known sizes, bytes.</summary>
    public long KnownBytes => Files.Sum(f => f.Size ?? 0);
}
