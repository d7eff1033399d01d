namespace Sluice.Models.Uploads;

/// <summary>Settings of models that admins upload.</summary>
/// <param name="Folder">The folder. Gateways of several machines share it.</param>
/// <param name="MaxBytes">Maximum size of one upload, and of its files after it is unpacked.</param>
public sealed record UploadSettings(string Folder, long MaxBytes)
{
    /// <summary>How long an upload that is not complete is kept after it last received something.</summary>
    public TimeSpan KeepIncomplete { get; init; } = TimeSpan.FromHours(24);
}
