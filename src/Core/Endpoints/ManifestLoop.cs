using Microsoft.Extensions.Logging;
using Sluice.Core.Workers;

namespace Sluice.Core.Endpoints;

/// <summary>Where the manifest is; null: there is none.</summary>
public sealed record ManifestOptions(string? Path);

/// <summary>
/// Applies the manifest at start and whenever its text changes. Its text is compared, not its time, so that a symlinked
/// file (a Kubernetes ConfigMap) is seen too. A bad file changes nothing and is told clearly, once a change.
/// </summary>
public sealed partial class ManifestLoop(ManifestOptions options, CatalogStore store, CatalogWatcher watcher, EndpointDeletions deletions, HostId host,
    TimeProvider time, ILogger<ManifestLoop> logger) : BackgroundLoop(time, logger)
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    private readonly TimeProvider time = time;
    private readonly ILogger<ManifestLoop> logger = logger;
    private readonly TaskCompletionSource firstLook = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string? applied;
    private string? seen;
    private string? told;
    private string? digest;
    private bool endsWithMarker;
    private int rollbacks;

    /// <summary>What is wrong with the file as it is now; empty: nothing.</summary>
    public IReadOnlyList<string> Errors { get; private set; } = [];

    /// <summary>When the present declarations were applied.</summary>
    public DateTimeOffset? AppliedAt { get; private set; }

    /// <summary>Ends when the file was looked at once, whatever came of it.</summary>
    public Task FirstLook => firstLook.Task;

    public string? Path => options.Path is null ? null : System.IO.Path.GetFullPath(options.Path);

    /// <summary>Looks at the file once, and applies it when it changed.</summary>
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
            Tell([$"{path}: {e.Message}"]);
            return;
        }

        // Whoever saves a file may empty it first and write it in pieces, each of which may be a manifest: it counts when two looks agree.
        var settled = applied is null || text == seen;
        seen = text;
        if (!settled) return;
        // Again where Redis has lost all declarations, or went back to earlier ones.
        if (text == applied && !watcher.State.IsLost && watcher.State.Version is not null && watcher.Rollbacks == rollbacks)
        {
            await CompareAsync(path, ct);
            return;
        }

        var (file, errors) = Manifest.Parse(text);
        if (file is null || (errors = await TruncatedAsync(file, ct)).Count > 0)
        {
            Tell([.. errors.Select(e => $"{path}: {e}")]);
            return;
        }

        // First: a version that is replaced now must be known when Redis goes back to it.
        await watcher.RefreshAsync(ct);
        var seenRollbacks = watcher.Rollbacks;
        var change = await store.ReplaceManifestAsync(file, ct, host.Value);
        for (var more = file.Endpoints.Count; change.Refusal == CatalogRefusal.Deleting && more > 0; more--)
        {
            await deletions.MakeFreeAsync(change.Name, ct);
            change = await store.ReplaceManifestAsync(file, ct, host.Value);
        }

        if (change.Refusal != CatalogRefusal.None)
        {
            Tell([$"{path}: {Refused(change)}"]);
            return;
        }

        (applied, told, Errors, AppliedAt) = (text, null, [], time.GetUtcNow());
        (digest, endsWithMarker) = (CatalogStore.Digest(file), file.EndsWithMarker);
        rollbacks = seenRollbacks;
        await watcher.RefreshAsync(ct);
        Applied(path, file.Templates.Count, file.Endpoints.Count);
    }

    /// <summary>Signs of a file that was cut: it lacks the end marker that it had, or a whole section of what it declared.</summary>
    private async Task<IReadOnlyList<FieldError>> TruncatedAsync(ManifestFile file, CancellationToken ct)
    {
        if (endsWithMarker && !file.EndsWithMarker)
            return [new FieldError("(file)", "without its last line '...'", "the document end marker that it had; without it the file is truncated")];
        if (file.Omitted.Count == 0) return [];
        var state = await store.ReadAsync(ct);
        return [.. file.Omitted.Select(section => (section, names: Owned(section == "templates" ? state.TemplateOrigins : state.EndpointOrigins)))
            .Where(o => o.names.Count > 0)
            .Select(o => new FieldError(o.section, "",
                $"a list, because the manifest declares {string.Join(", ", o.names)} now; to delete them, write '{o.section}: []'"))];
    }

    private static List<string> Owned(IReadOnlyDictionary<string, Origin> origins) =>
        [.. origins.Where(o => o.Value == Origin.Manifest).Select(o => o.Key).Order(StringComparer.Ordinal)];

    private static string Refused(CatalogChange change)
    {
        if (change.Refusal == CatalogRefusal.Deleting) return $"endpoint '{change.Name}' is being deleted; the manifest is applied when its jobs are gone";
        if (change.Refusal == CatalogRefusal.Clash) return $"'{change.Name}' was made through the API already: delete it there, or take it out here";
        var (template, endpoints) = (change.Name.Split(':')[0], change.Name.Split(':')[^1].Replace(",", ", ", StringComparison.Ordinal));
        return $"template '{template}' is missing, and these endpoints of the API use it: {endpoints}; declare the template, or delete the endpoints first";
    }

    /// <summary>Reports a manifest of another gateway that was applied after this one and declares something else.</summary>
    private async Task CompareAsync(string path, CancellationToken ct)
    {
        if (await store.ManifestSourceAsync(ct) is not { } source || source.Digest == digest)
        {
            if (told is null) return;
            (told, Errors) = (null, []);
            return;
        }

        Tell([$"{path}: the manifest of host {source.Host} declares something else and was applied later ({source.AppliedAt:u}); "
            + "this file has no effect. Give all gateways on one Redis the same manifest."]);
    }

    protected override async Task RunAsync(CancellationToken ct)
    {
        using var timer = new PeriodicTimer(LookEvery, time);
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

    private void Tell(IReadOnlyList<string> errors)
    {
        Errors = errors;
        var text = string.Join('\n', errors);
        if (text == told) return;
        told = text;
        Bad(text);
    }

    [LoggerMessage(LogLevel.Information, "Manifest {Path}: {Templates} templates, {Endpoints} endpoints")]
    private partial void Applied(string path, int templates, int endpoints);

    [LoggerMessage(LogLevel.Error, "The manifest is not applied, what was declared before stays:\n{Errors}")]
    private partial void Bad(string errors);
}
