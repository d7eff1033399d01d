using System.Net;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Declarations;
using Sluice.Models.Downloads;
using Sluice.Models.Sources;

namespace Sluice.Models.Cache;

/// <summary>
/// The models of this node. It downloads a model once for all workers and all gateways of the node, keeps it while a
/// worker uses it, and deletes the least recently used ones when the room is needed.
/// </summary>
public sealed partial class ModelStore : IDisposable
{
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(20);

    private readonly Lazy<StoreLayout> layout;
    private readonly Lazy<ModelStoreTools> tools;
    private readonly SharedDownloads downloads = new();
    private readonly HttpClient http = CreateClient();
    private readonly TimeProvider time;
    private readonly ILogger logger;

    public ModelStore(
        ModelStoreSettings settings, SourceSettings sources, TimeProvider time, ILogger<ModelStore> logger)
    {
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
    public ModelLease? TryHold(ModelDeclaration model, string name) =>
        Directory.Exists(Folder) ? TryLease(StoreLayout.Key(model), name, downloaded: false) : null;

    /// <summary>Returns a lease of a model. Downloads the model if the node does not have it.</summary>
    /// <param name="model">The declaration.</param>
    /// <param name="name">The name under which a worker serves it.</param>
    /// <param name="progress">Receives what takes long, as text for operators.</param>
    /// <param name="ct">Ends the wait. The download goes on while another caller waits for it.</param>
    /// <exception cref="ModelFailureException">The model cannot be delivered.</exception>
    public async Task<ModelLease> AcquireAsync(
        ModelDeclaration model, string name, Action<string> progress, CancellationToken ct)
    {
        var source = ModelSource.Parse(model.Source);
        try
        {
            if (source is { Kind: ModelSourceKind.Folder }) return OfFolder(source.Location, name);
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

    private async Task DownloadAsync(ModelDeclaration model, Action<string> report, CancellationToken ct)
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
        StoreLayout.Share(layout.Value.Files(key));
        // The link is relative, so it also leads to the files where the store has another path.
        var repository = StoreLayout.Repository(layout.Value.Model(key), Path.Combine("..", "..", "files"), name);
        return new ModelLease(layout.Value.Files(key), repository, downloaded, use);
    }

    private ModelLease OfFolder(string folder, string name)
    {
        if (!Directory.Exists(folder))
            throw new ModelFailureException($"model.source is '{folder}'; expected an existing folder of this node");
        return new ModelLease(
            folder, StoreLayout.Repository(layout.Value.ForFolder(folder), folder, name), false, null);
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
