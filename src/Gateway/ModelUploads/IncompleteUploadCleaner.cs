using Sluice.Models.Uploads;
using Sluice.Storage.Background;

namespace Sluice.Gateway.ModelUploads;

/// <summary>
/// Deletes uploads that are not complete and received nothing for <see cref="UploadSettings.KeepIncomplete"/>: their
/// client gave up. Each gateway does it; the lock of a version excludes the others, and requests that write it.
/// </summary>
public sealed partial class IncompleteUploadCleaner(
    UploadStore uploads, TimeProvider time, ILogger<IncompleteUploadCleaner> logger) : BackgroundLoop(time, logger)
{
    /// <summary>Interval of the search.</summary>
    public static readonly TimeSpan Every = TimeSpan.FromMinutes(1);

    private readonly TimeProvider time = time;
    private readonly ILogger<IncompleteUploadCleaner> logger = logger;

    protected override async Task RunAsync(CancellationToken ct)
    {
        using var timer = SharedTicks.Every(Every, time);
        do
        {
            try
            {
                DeleteExpired();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Failures.Report("Deleting incomplete uploads", e);
            }
        }
        while (await timer.WaitForNextTickAsync(ct));
    }

    private void DeleteExpired()
    {
        var now = time.GetUtcNow();
        foreach (var upload in uploads.ListIncomplete().Where(u => u.IsExpired(now, uploads.Settings.KeepIncomplete)))
            Delete(upload, now);
    }

    /// <summary>One that cannot be deleted does not keep the others.</summary>
    private void Delete(IncompleteUpload upload, DateTimeOffset now)
    {
        try
        {
            if (uploads.TryExpire(upload.Name, upload.Version, now) is { } deleted)
                IncompleteUploadDeleted(deleted.Name, deleted.Version, deleted.Bytes, deleted.ReceivedAt);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Failures.Report("Deleting an incomplete upload", e);
        }
    }

    [LoggerMessage(LogLevel.Information, "Incomplete upload of model {Name}/{Version} deleted with {Bytes} bytes: it "
        + "received nothing since {ReceivedAt:O} (SLUICE_MODEL_UPLOAD_KEEP_HOURS)")]
    private partial void IncompleteUploadDeleted(string name, string version, long bytes, DateTimeOffset receivedAt);
}
