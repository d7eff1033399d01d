namespace Sluice.Models.Uploads;

/// <summary>An upload that was begun and is not a version yet.</summary>
/// <param name="Name">The name of the model.</param>
/// <param name="Version">The version.</param>
/// <param name="Bytes">The bytes that it occupies.</param>
/// <param name="ReceivedAt">When it last received something, or was last worked on.</param>
public sealed record IncompleteUpload(string Name, string Version, long Bytes, DateTimeOffset ReceivedAt)
{
    /// <summary>Whether it received nothing for so long that it can be deleted. Pure.</summary>
    /// <param name="now">The current time.</param>
    /// <param name="keep">How long an upload that receives nothing is kept.</param>
    public bool IsExpired(DateTimeOffset now, TimeSpan keep) => now - ReceivedAt >= keep;
}
