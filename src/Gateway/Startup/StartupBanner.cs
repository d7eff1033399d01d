using System.Text.Json;
using Sluice.ControlPlane.Manifests;
using Sluice.Domain.Declarations;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Forwarding;
using Sluice.Storage.Catalog;
using Sluice.Storage.Keys;

namespace Sluice.Gateway.Startup;

/// <summary>
/// Prints the startup banner: the listen addresses, the admin key at the first start, the dashboard, and example
/// commands.
/// </summary>
internal static class StartupBanner
{
    /// <summary>How long to wait for the manifest before the banner is printed without it.</summary>
    private static readonly TimeSpan ManifestTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Prints the banner to standard output.</summary>
    public static async Task PrintAsync(WebApplication app, GatewaySettings settings)
    {
        var services = app.Services;
        var time = services.GetRequiredService<TimeProvider>();
        var key = await FirstKeyAsync(services, settings, time);
        var manifest = services.GetRequiredService<ManifestLoop>();
        await Task.WhenAny(manifest.FirstLook, Task.Delay(ManifestTimeout, time));
        var url = app.Urls.First().Replace("0.0.0.0", "127.0.0.1", StringComparison.Ordinal)
            .Replace("[::]", "[::1]", StringComparison.Ordinal);
        var text = new StringWriter();
        await text.WriteLineAsync($"\nSluice listens on {string.Join(", ", app.Urls)}  (state in {settings.Data})\n");
        if (key is not null) await text.WriteLineAsync($"Admin key, shown only once:\n\n  {key}\n");
        else if (settings.AdminKey is null)
            await text.WriteLineAsync("The admin key was shown at the first start. Set SLUICE_KEY to it for the "
                + "commands below. If it is lost, set SLUICE_ADMIN_KEY.\n");
        await text.WriteLineAsync($"Dashboard, where you sign in with that key: {url}/ui/\n");
        var bearer = key ?? (settings.AdminKey is null ? "$SLUICE_KEY" : "$SLUICE_ADMIN_KEY");
        var lines = ExampleCommands(services.GetRequiredService<CatalogWatcher>().Current, settings.ModelRepository,
            url, bearer).Take(3).ToList();
        await text.WriteLineAsync(lines.Count > 0
            ? "Try it (the first request starts a worker):\n\n" + string.Join("\n\n", lines) + "\n"
            : "No example commands: no declared endpoint has a model with an example.json.\n");
        await Console.Out.WriteAsync(text.ToString());
    }

    /// <summary>Creates the first admin key. Returns null if it exists already, or is a setting.</summary>
    internal static async Task<string?> FirstKeyAsync(IServiceProvider services, GatewaySettings settings,
        TimeProvider time)
    {
        var store = services.GetRequiredService<KeyStore>();
        if (settings.AdminKey is not null || !await store.ClaimFirstAdminAsync(CancellationToken.None)) return null;
        var (id, text) = ApiKeyFormat.New();
        await store.AddAsync(new ApiKey
        {
            Id = id,
            Name = "first admin key",
            Hash = ApiKeyFormat.Hash(text),
            Last4 = text[^4..],
            Scope = new KeyScope { Admin = true },
            CreatedAt = time.GetUtcNow(),
        }, CancellationToken.None);
        await services.GetRequiredService<ApiKeyCache>().RefreshAsync(CancellationToken.None);
        return text;
    }

    /// <summary>
    /// Returns a curl command for each model of a declared endpoint that has an <c>example.json</c> in its folder.
    /// </summary>
    private static IEnumerable<string> ExampleCommands(
        EndpointCatalog catalog, string models, string url, string bearer)
    {
        foreach (var model in catalog.Deployments.Where(d => d.Endpoint.Canary is null)
            .OrderBy(d => d.Endpoint.Id, StringComparer.Ordinal).SelectMany(d => d.Endpoint.ServedModels))
        {
            var file = Path.Combine(models, model, "example.json");
            if (!File.Exists(file) || FindPath(file, model) is not { } path) continue;
            var relative = Path.GetRelativePath(Environment.CurrentDirectory, file);
            var isStream = path.EndsWith("_stream", StringComparison.Ordinal)
                || WaitingStream.AsksForStream(File.ReadAllBytes(file));
            yield return $"  curl -{(isStream ? "N" : "s")} {url}{path} "
                + $"-H \"Authorization: Bearer {bearer}\" \\\n"
                + $"    -d @{(relative.StartsWith("..", StringComparison.Ordinal) ? file : relative)}";
        }
    }

    /// <summary>
    /// Returns the path that accepts an example; null if the file contains no request. The fields of the example
    /// decide: <c>messages</c>, <c>prompt</c> and <c>input</c> are requests of OpenAI's API, which name their model.
    /// </summary>
    internal static string? FindPath(string file, string model)
    {
        try
        {
            using var example = JsonDocument.Parse(File.ReadAllText(file));
            var body = example.RootElement;
            if (body.ValueKind != JsonValueKind.Object) return null;
            if (body.TryGetProperty("inputs", out _)) return $"/v2/models/{model}/infer";
            if (body.TryGetProperty("text_input", out _)) return $"/v2/models/{model}/generate_stream";
            if (!body.TryGetProperty("model", out var named) || named.ValueKind != JsonValueKind.String
                || !named.ValueEquals(model)) return null;
            if (body.TryGetProperty("messages", out _)) return "/v1/chat/completions";
            if (body.TryGetProperty("prompt", out _)) return "/v1/completions";
            return body.TryGetProperty("input", out _) ? "/v1/embeddings" : null;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            // An example that is empty or not readable must not stop the gateway.
            return null;
        }
    }
}
