using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Core.Endpoints;
using Sluice.Testing;

namespace Sluice.Core.Tests.Endpoints;

/// <summary>Declarations in Redis, from the API and from the manifest.</summary>
public sealed class CatalogTest(RedisFixture redis) : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private readonly CatalogStore store = new(redis.Store);

    public async Task InitializeAsync() => await redis.Store.Database.ExecuteAsync("FLUSHALL");

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task What_is_put_is_read_back_equal()
    {
        var template = new Template
        {
            Name = "t",
            Command = ["a", "{port}"],
            Env = new Dictionary<string, string> { ["A"] = "1" },
            StartTimeout = TimeSpan.FromSeconds(7),
        };
        var endpoint = new Endpoint { Id = "e", Template = "t", Public = true, Scaling = new ScalePolicy { Scaler = Scaler.QueueDelay, Max = 9 } };
        Assert.Equal(CatalogRefusal.None, (await store.PutAsync(template, default)).Refusal);
        Assert.Equal(CatalogRefusal.None, (await store.PutAsync(endpoint, default)).Refusal);

        var read = (await store.ReadAsync(default)).Catalog.Find("e")!;

        Assert.Equal(DeclarationText(template), DeclarationText(read.Template));
        Assert.Equal(Declarations.Write(endpoint, DeclarationJson.Endpoint), Declarations.Write(read.Endpoint, DeclarationJson.Endpoint));
    }

    [Fact]
    public async Task An_endpoint_needs_its_template_and_holds_it()
    {
        Assert.Equal(CatalogRefusal.NoTemplate, (await store.PutAsync(Endpoint("e"), default)).Refusal);
        await store.PutAsync(new Template { Name = "t" }, default);
        await store.PutAsync(Endpoint("e"), default);
        Assert.Equal(new CatalogChange(CatalogRefusal.InUse, "e"), await store.DeleteTemplateAsync("t", default));
        Assert.Equal(CatalogRefusal.None, (await store.DeleteEndpointAsync("e", default)).Refusal);
        Assert.Equal(CatalogRefusal.None, (await store.DeleteTemplateAsync("t", default)).Refusal);
        Assert.Equal(CatalogRefusal.Unknown, (await store.DeleteTemplateAsync("t", default)).Refusal);
    }

    [Fact]
    public async Task The_manifest_owns_what_it_declares_and_takes_back_what_it_declares_no_more()
    {
        await store.PutAsync(new Template { Name = "mine" }, default);
        await store.ReplaceManifestAsync(new ManifestFile { Templates = [new Template { Name = "t" }], Endpoints = [Endpoint("a"), Endpoint("b")] }, default);
        Assert.Equal(CatalogRefusal.OwnedByManifest, (await store.PutAsync(Endpoint("a"), default)).Refusal);
        Assert.Equal(CatalogRefusal.OwnedByManifest, (await store.DeleteEndpointAsync("a", default)).Refusal);

        await store.ReplaceManifestAsync(new ManifestFile { Templates = [new Template { Name = "t" }], Endpoints = [Endpoint("b")] }, default);

        var state = await store.ReadAsync(default);
        Assert.Null(state.Catalog.Find("a"));
        Assert.NotNull(state.Catalog.Find("b"));
        Assert.Equal((Origin.Manifest, Origin.Api), (state.TemplateOrigins["t"], state.TemplateOrigins["mine"]));
    }

    [Fact]
    public async Task A_manifest_that_clashes_with_the_api_changes_nothing()
    {
        await store.PutAsync(new Template { Name = "t" }, default);
        var before = await store.VersionAsync(default);
        Assert.Equal(new CatalogChange(CatalogRefusal.Clash, "t"), await store.ReplaceManifestAsync(
            new ManifestFile { Templates = [new Template { Name = "other" }, new Template { Name = "t" }] }, default));
        Assert.Equal(before, await store.VersionAsync(default));
    }

    [Fact]
    public async Task The_same_manifest_again_is_no_change()
    {
        var file = new ManifestFile { Templates = [new Template { Name = "t" }] };
        await store.ReplaceManifestAsync(file, default);
        var before = await store.VersionAsync(default);
        await store.ReplaceManifestAsync(file, default);
        Assert.Equal(before, await store.VersionAsync(default));
    }

    [Fact]
    public async Task What_another_gateway_declared_is_found_before_it_was_told_here()
    {
        var file = new ManifestFile { Templates = [new Template { Name = "t" }], Endpoints = [new Endpoint { Id = "a", Template = "t" }] };
        await store.ReplaceManifestAsync(file, default);
        // It hears of nothing: as one that starts, or whose messages are late.
        using var watcher = new CatalogWatcher(redis.Store, store, TimeProvider.System, NullLogger<CatalogWatcher>.Instance);
        Assert.Null(watcher.Current.Find("a"));
        Assert.Equal("t", (await watcher.FindAsync("a", default))!.Template.Name);
        Assert.True(watcher.Loaded.IsCompleted);
        Assert.Null(await watcher.FindAsync("gone", default));
    }

    [Fact]
    public async Task A_bad_file_leaves_the_old_declarations_and_is_told()
    {
        var file = Path.GetTempFileName();
        using var watcher = new CatalogWatcher(redis.Store, store, TimeProvider.System, NullLogger<CatalogWatcher>.Instance);
        using var loop = new ManifestLoop(new ManifestOptions(file), store, watcher, TimeProvider.System, NullLogger<ManifestLoop>.Instance);
        await File.WriteAllTextAsync(file, "templates: [{ name: t }]\nendpoints: [{ id: a, template: t }]");
        await loop.TickAsync(default);
        Assert.NotNull(watcher.Current.Find("a"));

        await File.WriteAllTextAsync(file, "templates: [{ name: t }]\nendpoints: [{ id: a, template: gone }]");
        await loop.TickAsync(default);
        await loop.TickAsync(default);
        Assert.Equal("t", watcher.Current.Find("a")!.Template.Name);
        Assert.Contains("endpoints[0].template is gone", Assert.Single(loop.Errors), StringComparison.Ordinal);

        // Half saved: seen once, and never applied.
        await File.WriteAllTextAsync(file, "");
        await loop.TickAsync(default);
        Assert.NotNull(watcher.Current.Find("a"));
        await File.WriteAllTextAsync(file, "templates: [{ name: t }]\nendpoints: [{ id: b, template: t }]");
        await loop.TickAsync(default);
        Assert.NotNull(watcher.Current.Find("a"));
        await loop.TickAsync(default);
        Assert.Empty(loop.Errors);
        Assert.NotNull(watcher.Current.Find("b"));
        File.Delete(file);
    }

    private static Endpoint Endpoint(string id) => new() { Id = id, Template = "t" };

    private static string DeclarationText(Template template) => Declarations.Write(template, DeclarationJson.Template);
}
