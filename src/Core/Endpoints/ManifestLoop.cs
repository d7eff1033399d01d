using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sluice.Core.Redis;

namespace Sluice.Core.Endpoints;

/// <summary>Where the manifest is; null: there is none.</summary>
public sealed record ManifestOptions(string? Path);

/// <summary>
/// Applies the manifest at start and whenever its text changes. Its text is compared, not its time, so that a symlinked
/// file (a Kubernetes ConfigMap) is seen too. A bad file changes nothing and is told clearly, once a change.
/// </summary>
public sealed partial class ManifestLoop(ManifestOptions options, CatalogStore store, CatalogWatcher watcher,
    TimeProvider time, ILogger<ManifestLoop> logger) : BackgroundService
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    private readonly TaskCompletionSource firstLook = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string? applied;
    private string? seen;
    private string? told;

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
        // Version 0: Redis has lost all declarations.
        if (text == applied && watcher.State.Version > 0) return;
        var (file, errors) = Manifest.Parse(text);
        if (file is null)
        {
            Tell([.. errors.Select(e => $"{path}: {e}")]);
            return;
        }

        var change = await store.ReplaceManifestAsync(file, ct);
        if (change.Refusal == CatalogRefusal.Clash)
        {
            Tell([$"{path}: '{change.Name}' was made through the API already: delete it there, or take it out here"]);
            return;
        }

        (applied, told, Errors, AppliedAt) = (text, null, [], time.GetUtcNow());
        await watcher.RefreshAsync(ct);
        Applied(path, file.Templates.Count, file.Endpoints.Count);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(LookEvery, time);
        do
        {
            try
            {
                await TickAsync(stoppingToken);
                firstLook.TrySetResult();
            }
            catch (Exception e) when (RedisDown.Is(e) && !stoppingToken.IsCancellationRequested)
            {
                CannotApply(e.Message);
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                // A bug of ours must not end the gateway because someone saved a file.
                Unexpected(e);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
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

    [LoggerMessage(LogLevel.Error, "The manifest cannot be read; what was declared before stays")]
    private partial void Unexpected(Exception e);

    [LoggerMessage(LogLevel.Warning, "The manifest cannot be applied now: {Error}")]
    private partial void CannotApply(string error);
}
