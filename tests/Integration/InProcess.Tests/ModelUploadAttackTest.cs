using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Models.Uploads;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Uploads of models that are not permitted, not valid, or compete with other uses of the version.</summary>
[Trait("Needs", "publish")]
public sealed class ModelUploadAttackTest : IDisposable
{
    private const string Manifest = "templates: []\nendpoints: []";

    private readonly ModelUploader uploader = new();

    private static byte[] Digits => ModelUploader.Digits;

    public void Dispose() => uploader.Dispose();

    [Fact]
    public async Task Only_admins_upload_list_and_delete_models()
    {
        await using var gateway = await InProcessGateway.StartAsync(
            "templates: [{ name: onnx }]\nendpoints: [{ id: digits, template: onnx }]", uploader.Settings());
        using var made = await gateway.Client.PostAsJsonAsync(new Uri("/api/v1/keys", UriKind.Relative),
            new { name = "caller", invoke = new[] { "digits" } });
        Assert.Equal(HttpStatusCode.Created, made.StatusCode);
        var key = (string)(await made.Content.ReadFromJsonAsync<JsonObject>())!["key"]!;
        foreach (var (sent, expected) in new (string?, HttpStatusCode)[]
        {
            (key, HttpStatusCode.Forbidden), (null, HttpStatusCode.Unauthorized),
        })
        {
            using var client = gateway.ClientFor(sent);
            foreach (var (method, path) in new[] { ("PUT", "/m/1"), ("GET", "/m/1"), ("DELETE", "/m/1"), ("GET", "") })
            {
                using var request = new HttpRequestMessage(new HttpMethod(method), "/api/v1/models" + path);
                // One byte: the gateway refuses without reading, and a client that still sends fails.
                if (method == "PUT") request.Content = new ByteArrayContent(Digits[..1]);
                using var answer = await client.SendAsync(request);
                Assert.Equal((method, path, expected), (method, path, answer.StatusCode));
            }
        }

        Assert.Empty(uploader.Stored());
    }

    [Fact]
    public async Task One_request_at_a_time_changes_a_version()
    {
        await using var gateway = await StartAsync();
        await using var other = await gateway.StartAnotherAsync();
        using var first = await ModelUploader.BeginAsync(gateway, Digits[..1000], (0, Digits.Length - 1, Digits.Length));
        foreach (var rival in new[] { gateway, other })
        {
            var refused = await ModelUploader.PutAsync(rival, "m/1", Digits);
            Assert.Equal(HttpStatusCode.Conflict, refused.Status);
            Assert.Contains("Another request changes model 'm/1'", refused.Text, StringComparison.Ordinal);
            Assert.Equal(
                HttpStatusCode.Conflict, (await ModelUploader.SendAsync(rival, HttpMethod.Delete, "m/1")).Status);
        }

        // The first one is not disturbed, and another version is independent of it.
        Assert.Equal(HttpStatusCode.Created, (await ModelUploader.PutAsync(other, "m/2", Digits)).Status);
        await first.GetStream().WriteAsync(Digits.AsMemory(1000));
        // While the inspector reads the files, the version is neither complete nor gone.
        await other.UntilAsync("/api/v1/models/m/1", v => (string?)v["state"] == "ready");
        Assert.Equal(Digits, await File.ReadAllBytesAsync(Path.Combine(uploader.Folder, "m/1/files/1/model.onnx")));
    }

    [Fact]
    public async Task A_version_that_a_worker_uses_is_not_deleted_although_no_endpoint_declares_it()
    {
        await using var gateway = await StartAsync();
        Assert.Equal(HttpStatusCode.Created, (await ModelUploader.PutAsync(gateway, "m/1", Digits)).Status);
        // The host of a worker holds its model until the worker has stopped.
        var uploads = new UploadStore(new UploadSettings(uploader.Folder, 1 << 20));
        using (var store = TestModels.Store(Path.Combine(gateway.Folder, "store"), uploads: uploads))
        {
            using var lease = await store.AcquireAsync(
                new ModelDeclaration { Source = "model://m/1" }, "m", _ => { }, TestContext.Current.CancellationToken);
            var refused = await ModelUploader.SendAsync(gateway, HttpMethod.Delete, "m/1");
            Assert.Equal(HttpStatusCode.Conflict, refused.Status);
            Assert.Contains("is used by a worker", refused.Text, StringComparison.Ordinal);
            Assert.True(File.Exists(Path.Combine(lease.Folder, "1", "model.onnx")));
        }

        Assert.Equal(
            HttpStatusCode.NoContent, (await ModelUploader.SendAsync(gateway, HttpMethod.Delete, "m/1")).Status);
        Assert.Equal(["m"], uploader.Stored());
    }

    [Fact]
    public async Task Names_and_headers_that_are_not_valid_are_refused_and_the_longest_names_are_not()
    {
        await using var gateway = await StartAsync();
        var longest = new string('n', 100);
        var made = await ModelUploader.PutAsync(gateway, $"{longest}/{longest}", Digits);
        Assert.Equal(HttpStatusCode.Created, made.Status);
        var before = uploader.Stored().ToList();
        const string name = "expected a name and a version";
        foreach (var (path, range, expected) in new (string, string[], string)[]
        {
            ("m/-1", ["bytes 0-1/2"], name), ($"m/{longest}n", [], name), ($"{longest}n/1", [], name),
            (".incoming/x", [], name), ("%2e%2e%2fm/1", [], name), ("m/..%2f..", [], name),
            ("m/1", ["bytes 1-0/2"], "expected bytes FROM-TO/TOTAL"),
            ("m/1", ["bytes 0-1/2", "bytes 0-1/2"], "expected bytes FROM-TO/TOTAL"),
            ("m/1?sha256=x", [], "expected 64 hexadecimal digits"), ("m/1?sha256=", [], "expected 64 hexadecimal"),
            ("m/1?inspect=no", [], "expected true or false"),
            ("m/1?inspect=false&inspect=true", [], "expected true or false"),
        })
        {
            var content = new ByteArrayContent([1, 2]);
            if (range.Length > 0) content.Headers.TryAddWithoutValidation("Content-Range", range);
            var answer = await ModelUploader.SendAsync(gateway, HttpMethod.Put, path, content);
            Assert.Equal((path, HttpStatusCode.BadRequest), (path, answer.Status));
            Assert.Contains(expected, answer.Text, StringComparison.Ordinal);
        }

        Assert.Equal(before, uploader.Stored());
    }

    [Fact]
    public async Task A_total_over_the_limit_is_refused_before_its_first_part_is_stored()
    {
        var settings = uploader.Settings();
        settings["SLUICE_MODEL_UPLOAD_MIB"] = "1";
        await using var gateway = await InProcessGateway.StartAsync(Manifest, settings);
        var refused = await ModelUploader.PutAsync(gateway, "m/1", Digits[..1000], (0, 999, long.MaxValue / 10));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, refused.Status);
        Assert.Contains("at most 1048576 bytes", refused.Text, StringComparison.Ordinal);
        Assert.Empty(uploader.Stored());

        // Without a total, the sum of the parts is limited.
        Assert.Equal(HttpStatusCode.Accepted, await PutAsync(0, 999_999));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, await PutAsync(1_000_000, 1_099_999));
        Assert.Empty(uploader.Stored());

        async Task<HttpStatusCode> PutAsync(int from, int to)
        {
            var content = new ByteArrayContent(new byte[to - from + 1]);
            content.Headers.ContentRange = new ContentRangeHeaderValue(from, to);
            return (await ModelUploader.SendAsync(gateway, HttpMethod.Put, "m/1", content)).Status;
        }
    }

    private Task<InProcessGateway> StartAsync() => InProcessGateway.StartAsync(Manifest, uploader.Settings());
}
