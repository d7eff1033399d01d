using Microsoft.Extensions.Logging;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Storage.Audit;
using Sluice.Storage.Background;
using Sluice.Storage.Catalog;
using Sluice.Storage.Redis;

namespace Sluice.ControlPlane.Manifests;

/// <summary>
/// Applies the manifest at the start and whenever its text changes. It compares the text and not the modification time,
/// so that a symbolic link to another file (a Kubernetes ConfigMap) is detected as a change. An invalid file changes
/// nothing and is reported once per change.
/// </summary>
public sealed partial class ManifestLoop(
    ManifestOptions options,
    CatalogStore store,
    CatalogWatcher watcher,
    EndpointDeletions deletions,
    AuditStore audit,
    HostId host,
    TimeProvider time,
    ILogger<ManifestLoop> logger) : BackgroundLoop(time, logger)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(1);

    private readonly TimeProvider time = time;
    private readonly ILogger<ManifestLoop> logger = logger;
    private readonly TaskCompletionSource firstLook = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string? applied;
    private string? seen;
    private string? reported;
    private string? digest;
    private bool endsWithMarker;
    private int rollbacks;

    /// <summary>The errors of the current file; empty if it is valid.</summary>
    public IReadOnlyList<string> Errors { get; private set; } = [];

    /// <summary>When the current declarations were applied.</summary>
    public DateTimeOffset? AppliedAt { get; private set; }

    /// <summary>Completes when the file was read for the first time, with any result.</summary>
    public Task FirstLook => firstLook.Task;

    /// <summary>The absolute path of the manifest; null if there is none.</summary>
    public string? Path => options.Path is null ? null : System.IO.Path.GetFullPath(options.Path);

    /// <summary>Reads the file once and applies it if it has changed.</summary>
    public async Task TickAsync(CancellationToken ct)
    {
        if (Path is not { } path) return;
        string text;
        try
        {
            text = await File.ReadAllTextAsync(path, ct);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            ReportErrors([$"{path}: {e.Message}"]);
            return;
        }

        // An editor may truncate the file first and write it in parts, each of which may be a valid manifest. Therefore
        // a change is applied only after two equal reads.
        var settled = applied is null || text == seen;
        seen = text;
        if (!settled) return;
        // An unchanged manifest is applied again if Redis lost all declarations or returned to earlier ones.
        var isCurrent = !watcher.State.IsLost && watcher.State.Version is not null && watcher.Rollbacks == rollbacks;
        if (text == applied && isCurrent)
        {
            await CompareAsync(path, ct);
            return;
        }

        var (file, errors) = Manifest.Parse(text, options.Variables);
        var problems = file is null ? [.. errors.Select(e => e.ToString())] : await FindTruncationAsync(file, ct);
        if (file is null || problems.Count > 0)
        {
            ReportErrors([.. problems.Select(p => $"{path}: {p}")]);
            return;
        }

        // Reads the catalog first: the watcher must know the version that is replaced now, to detect it if Redis
        // returns to it.
        await watcher.RefreshAsync(ct);
        var (seenRollbacks, before) = (watcher.Rollbacks, watcher.Current);
        var change = await ReplaceAsync(file, ct);
        if (change.Refusal != CatalogRefusal.None)
        {
            ReportErrors([$"{path}: {DescribeRefusal(change)}"]);
            return;
        }

        applied = text;
        reported = null;
        Errors = [];
        AppliedAt = time.GetUtcNow();
        digest = CatalogStore.Digest(file);
        endsWithMarker = file.EndsWithMarker;
        rollbacks = seenRollbacks;
        await watcher.RefreshAsync(ct);
        ManifestApplied(path, file.Templates.Count, file.Endpoints.Count);
        await AuditAsync(path, before, watcher.Current, ct);
    }

    /// <summary>Records what changed. A failure is reported, because the manifest is applied.</summary>
    private async Task AuditAsync(string path, EndpointCatalog before, EndpointCatalog after, CancellationToken ct)
    {
        try
        {
            foreach (var (target, old, now) in DeclarationChanges.Between(before, after))
            {
                var (changed, current) = JsonDifference.Between(old, now);
                await audit.AddAsync(new AuditEntry
                {
                    At = time.GetUtcNow(),
                    Actor = "manifest",
                    ActorName = path,
                    From = host.Value,
                    Action = "manifest",
                    Target = target,
                    Before = changed,
                    After = current,
                }, ct);
            }
        }
        catch (Exception e) when (RedisErrors.Is(e))
        {
            Failures.Report("Recording the changes of the manifest", e);
        }
    }

    /// <summary>
    /// Replaces the declarations of the manifest. First completes the deletion of endpoints that it declares again.
    /// </summary>
    private async Task<CatalogChange> ReplaceAsync(ManifestFile file, CancellationToken ct)
    {
        var change = await store.ReplaceManifestAsync(file, ct, host.Value);
        for (var more = file.Endpoints.Count; change.Refusal == CatalogRefusal.Deleting && more > 0; more--)
        {
            await deletions.MakeFreeAsync(change.Name, ct);
            change = await store.ReplaceManifestAsync(file, ct, host.Value);
        }

        return change;
    }

    /// <summary>
    /// Detects a truncated file: it lacks the end marker that it had before, or a section with declarations.
    /// </summary>
    private async Task<IReadOnlyList<string>> FindTruncationAsync(ManifestFile file, CancellationToken ct)
    {
        if (endsWithMarker && !file.EndsWithMarker)
            return ["The last line '...' is missing, which the previous version of the file had. The file may be "
                + "truncated. Add the line, or restart the gateway to accept a file without it."];
        if (file.Omitted.Count == 0) return [];
        var state = await store.ReadAsync(ct);
        var omitted = file.Omitted.Select(section =>
            (Section: section, Names: Owned(section == "templates" ? state.Templates : state.Endpoints)));
        return [.. omitted.Where(o => o.Names.Count > 0).Select(o =>
            $"{o.Section} is missing, but the applied manifest declares {string.Join(", ", o.Names)}. "
            + $"Add the section, or write '{o.Section}: []' to delete them.")];
    }

    private static List<string> Owned(IReadOnlyDictionary<string, CatalogEntry> entries) =>
        [.. entries.Where(o => o.Value.Origin == Origin.Manifest).Select(o => o.Key).Order(StringComparer.Ordinal)];

    private static string DescribeRefusal(CatalogChange change)
    {
        if (change.Refusal == CatalogRefusal.Deleting)
            return $"endpoint '{change.Name}' is being deleted; "
                + "the manifest will be applied after its jobs are deleted";
        if (change.Refusal == CatalogRefusal.Clash)
            return $"'{change.Name}' was created through the API; "
                + "delete it through the API, or remove it from the manifest";
        var template = change.Name.Split(':')[0];
        var endpoints = change.Name.Split(':')[^1].Replace(",", ", ", StringComparison.Ordinal);
        return $"template '{template}' is missing, and these endpoints of the API use it: {endpoints}; "
            + "declare the template, or delete the endpoints first";
    }

    /// <summary>Reports if another gateway later applied a manifest with other declarations.</summary>
    private async Task CompareAsync(string path, CancellationToken ct)
    {
        if (await store.ManifestSourceAsync(ct) is not { } source || source.Digest == digest)
        {
            if (reported is null) return;
            reported = null;
            Errors = [];
            return;
        }

        ReportErrors([$"{path}: the manifest of host {source.Host} has other declarations and was applied later "
            + $"({source.AppliedAt:u}); this file has no effect. "
            + "Use the same manifest for all gateways on one Redis."]);
    }

    protected override async Task RunAsync(CancellationToken ct)
    {
        using var timer = SharedTicks.Every(PollInterval, time);
        do
        {
            try
            {
                await TickAsync(ct);
                firstLook.TrySetResult();
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                Failures.Report("Applying the manifest", e);
            }
        }
        while (await timer.WaitForNextTickAsync(ct));
    }

    private void ReportErrors(IReadOnlyList<string> errors)
    {
        Errors = errors;
        var text = string.Join('\n', errors);
        if (text == reported) return;
        reported = text;
        ManifestRejected(text);
    }

    [LoggerMessage(LogLevel.Information, "Manifest {Path} applied: {Templates} templates, {Endpoints} endpoints")]
    private partial void ManifestApplied(string path, int templates, int endpoints);

    [LoggerMessage(LogLevel.Error, "Manifest rejected; the previous declarations stay in effect:\n{Errors}")]
    private partial void ManifestRejected(string errors);
}
