using System.Net;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Models.Downloads;
using Sluice.Models.Sources;
using Sluice.Models.Uploads;

namespace Sluice.Models.Cache;

/// <summary>
/// The models of this node. It downloads a model once for all workers and all gateways of the node, keeps it while a
/// worker uses it, and deletes the least recently used ones when the room is needed.
/// </summary>
public sealed partial class ModelStore : IDisposable
{
    private const int MaxHoldTries = 1000;

    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(20);

    private readonly Lazy<StoreLayout> layout;
    private readonly Lazy<ModelStoreTools> tools;
    private readonly SharedDownloads downloads = new();
    private readonly HttpClient http = CreateClient();
    private readonly UploadStore uploads;
    private readonly TimeProvider time;
    private readonly ILogger logger;

    public ModelStore(
        ModelStoreSettings settings,
        SourceSettings sources,
        UploadStore uploads,
        TimeProvider time,
        ILogger<ModelStore> logger)
    {
        this.uploads = uploads;
        this.time = time;
        this.logger = logger;
        Folder = settings.Folder;
        // A gateway without declared sources needs no folder.
        layout = new Lazy<StoreLayout>(() => new StoreLayout(settings.Folder));
        tools = new Lazy<ModelStoreTools>(() => new ModelStoreTools(
            settings, http, new ModelSources(http, sources, time), new StoreEviction(layout.Value, settings, logger),
            time));
    }

    /// <summary>The folder of the store.</summary>
    public string Folder { get; }

    /// <summary>Returns a lease of a model for a worker that runs with it; null: the node does not have it.</summary>
    public ModelLease? TryHold(ModelDeclaration model, string name)
    {
        try
        {
            if (ModelSource.Parse(model.Source) is { Kind: ModelSourceKind.Uploaded } source)
                return TryLeaseUpload(source.Location, name);
            if (!Directory.Exists(Folder)) return null;
            var key = StoreLayout.Key(model);
            // A gateway that lists the store has the lock for a moment.
            for (var i = 0; i < MaxHoldTries && layout.Value.Read(key) is not null; i++)
                if (TryLease(key, name, downloaded: false) is { } lease) return lease;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The worker has the model already; only its deletion is possible now.
        }

        return null;
    }

    /// <summary>Returns a lease of a model. Downloads the model if the node does not have it.</summary>
    /// <param name="model">The declaration.</param>
    /// <param name="name">The name under which a worker serves it.</param>
    /// <param name="progress">Receives the steps that take long.</param>
    /// <param name="ct">Ends the wait. The download goes on while another caller waits for it.</param>
    /// <exception cref="ModelFailureException">The model cannot be delivered.</exception>
    public async Task<ModelLease> AcquireAsync(
        ModelDeclaration model, string name, Action<StartProgress> progress, CancellationToken ct)
    {
        var source = ModelSource.Parse(model.Source);
        try
        {
            if (source is { Kind: ModelSourceKind.Folder }) return OfFolder(source.Location, name);
            if (source is { Kind: ModelSourceKind.Uploaded }) return OfUpload(source.Location, name);
            var key = StoreLayout.Key(model);
            var downloaded = false;
            while (true)
            {
                if (TryLease(key, name, downloaded) is { } lease) return lease;
                await downloads.JoinAsync(key, (report, stop) => DownloadAsync(model, report, stop), progress, ct);
                if (downloaded) await Task.Delay(RetryPause, time, ct);
                downloaded = true;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelFailureException($"model {model.Source}: the store of models cannot be used "
                + $"(SLUICE_MODEL_STORE): {e.Message}", e);
        }
    }

    /// <summary>Returns the models that this node has, with their sources.</summary>
    public IReadOnlyList<(StoreEntry Entry, StoredModel? Model)> List() => Directory.Exists(Folder)
        ? [.. layout.Value.List().Select(e => (e, layout.Value.Read(e.Key)))] : [];

    public void Dispose() => http.Dispose();

    private async Task DownloadAsync(ModelDeclaration model, Action<StartProgress> report, CancellationToken ct)
    {
        var started = time.GetTimestamp();
        var progress = new DownloadProgress(model.Source, report, time);
        await new ModelDownload(model, layout.Value, tools.Value, progress).RunAsync(ct);
        if (progress.Received > 0)
            ModelDownloaded(model.Source, progress.Received, time.GetElapsedTime(started).TotalSeconds);
    }

    private ModelLease? TryLease(string key, string name, bool downloaded)
    {
        var use = StoreLock.TryShared(layout.Value.UseLock(key));
        if (use is null) return null;
        if (layout.Value.Read(key) is null)
        {
            use.Dispose();
            return null;
        }

        layout.Value.MarkUsed(key, time.GetUtcNow());
        FolderAccess.Share(layout.Value.Files(key));
        // The link is relative, so it also leads to the files where the store has another path.
        var repository = FolderAccess.Repository(layout.Value.Model(key), Path.Combine("..", "..", "files"), name);
        return new ModelLease(Folder, layout.Value.Files(key), repository, use) { WasDownloaded = downloaded };
    }

    private ModelLease OfFolder(string folder, string name)
    {
        if (!Directory.Exists(folder))
            throw new ModelFailureException($"model.source is '{folder}'; expected an existing folder of this node");
        var repository = FolderAccess.Repository(layout.Value.ForFolder(folder), folder, name);
        return new ModelLease(Path.GetDirectoryName(folder)!, folder, repository, null);
    }

    private ModelLease OfUpload(string location, string name) => TryLeaseUpload(location, name)
        ?? throw new ModelFailureException($"model.source is '{ModelSource.UploadedPrefix}{location}'; expected an "
            + $"uploaded version in SLUICE_MODEL_UPLOADS ({uploads.Settings.Folder})");

    private ModelLease? TryLeaseUpload(string location, string name)
    {
        var parts = location.Split('/');
        if (uploads.Find(parts[0], parts[1]) is null) return null;
        var use = uploads.TryUse(parts[0], parts[1]);
        // Without the lock, the version is deleted now.
        if (use is null || uploads.Find(parts[0], parts[1]) is not { } files)
        {
            use?.Dispose();
            return null;
        }

        FolderAccess.Share(files);
        var repository = FolderAccess.Repository(
            Path.GetDirectoryName(files)!, Path.Combine("..", "..", "files"), name);
        return new ModelLease(uploads.Settings.Folder, files, repository, use);
    }

    private static HttpClient CreateClient() => new(new SocketsHttpHandler
    {
        AutomaticDecompression = DecompressionMethods.None,
        ConnectTimeout = TimeSpan.FromSeconds(15),
        MaxAutomaticRedirections = 5,
    })
    {
        // A download has no time limit as a whole; each attempt is limited by its progress.
        Timeout = Timeout.InfiniteTimeSpan,
        DefaultRequestHeaders = { { "User-Agent", "sluice" } },
    };

    [LoggerMessage(LogLevel.Information, "Model {Source} downloaded: {Bytes} bytes in {Seconds:0.0} s")]
    private partial void ModelDownloaded(string source, long bytes, double seconds);
}
