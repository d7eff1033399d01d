using System.IO.Compression;
using System.Text;
using Microsoft.AspNetCore.Http;
using Sluice.Gateway.Dashboard;

namespace Sluice.Gateway.Tests.Dashboard;

public sealed class DashboardTest
{
    private const string Page = "<!doctype html><script type=\"module\" src=\"/ui/assets/app-1a2b.js\"></script>";

    private static readonly string Script = string.Concat(Enumerable.Repeat("console.log('x');\n", 100));

    private static readonly DashboardFiles Built = new(new Dictionary<string, byte[]>
    {
        ["index.html"] = Encoding.UTF8.GetBytes(Page),
        ["assets/app-1a2b.js"] = Encoding.UTF8.GetBytes(Script),
        ["icon.png"] = [1, 2, 3],
    });

    [Theory]
    [InlineData("")]
    [InlineData("index.html")]
    [InlineData("endpoints")]
    [InlineData("endpoints/digits/workers")]
    [InlineData("endpoints/a.b")]
    [InlineData("models/llama-3.1.onnx")]
    [InlineData("endpoints/app.js")]
    [InlineData("assets")]
    public async Task Each_page_is_the_same_file(string path)
    {
        var answer = await GetAsync(path);
        Assert.Equal((200, Page, "text/html; charset=utf-8"),
            (answer.Status, answer.Text, answer.Header("Content-Type")));
        Assert.Equal("no-cache", answer.Header("Cache-Control"));
    }

    [Theory]
    [InlineData("assets/other.js")]
    [InlineData("assets/app")]
    [InlineData("assets/")]
    public async Task A_missing_asset_is_not_found(string path) => Assert.Equal(404, (await GetAsync(path)).Status);

    [Fact]
    public async Task A_file_with_a_hash_in_its_name_is_never_requested_again()
    {
        var answer = await GetAsync("assets/app-1a2b.js");
        Assert.Equal("public, max-age=31536000, immutable", answer.Header("Cache-Control"));
        Assert.Equal("text/javascript; charset=utf-8", answer.Header("Content-Type"));
        Assert.Equal("Accept-Encoding", answer.Header("Vary"));
        Assert.Equal(Script, answer.Text);
        var image = await GetAsync("icon.png", ("Accept-Encoding", "br"));
        Assert.Equal("", image.Header("Content-Encoding") + image.Header("Vary"));
    }

    [Theory]
    [InlineData("gzip, deflate, br, zstd", "br")]
    [InlineData("br;q=0, gzip", "gzip")]
    [InlineData("GZIP;q=0.5", "gzip")]
    [InlineData("deflate", "")]
    [InlineData("", "")]
    [InlineData("br;q=x;;", "")]
    public async Task A_browser_gets_an_encoding_that_it_accepts(string accepted, string expected)
    {
        var answer = await GetAsync("assets/app-1a2b.js", ("Accept-Encoding", accepted));
        Assert.Equal(expected, answer.Header("Content-Encoding"));
        Stream body = new MemoryStream(answer.Body);
        if (expected == "br") body = new BrotliStream(body, CompressionMode.Decompress);
        if (expected == "gzip") body = new GZipStream(body, CompressionMode.Decompress);
        using var reader = new StreamReader(body);
        Assert.Equal(Script, await reader.ReadToEndAsync());
        Assert.Equal($"{answer.Body.Length}", answer.Header("Content-Length"));
        if (expected.Length > 0) Assert.True(answer.Body.Length < Script.Length / 4);
    }

    [Fact]
    public async Task A_file_that_the_browser_has_is_not_sent_again()
    {
        var first = await GetAsync("", ("Accept-Encoding", "br"));
        var tag = first.Header("ETag");
        foreach (var known in new[] { tag, $"\"other\", W/{tag}", "*" })
        {
            var again = await GetAsync("", ("Accept-Encoding", "br"), ("If-None-Match", known));
            Assert.Equal((304, 0, tag), (again.Status, again.Body.Length, again.Header("ETag")));
        }

        // Another encoding is another representation, and another content has another tag.
        Assert.Equal(200, (await GetAsync("", ("If-None-Match", tag))).Status);
        Assert.NotEqual(tag, (await GetAsync("assets/app-1a2b.js", ("Accept-Encoding", "br"))).Header("ETag"));
        Assert.Equal(200, (await GetAsync("", ("If-None-Match", "no tag"))).Status);
    }

    [Theory]
    [InlineData("")]
    [InlineData("assets/app-1a2b.js")]
    [InlineData("assets/missing.js")]
    public async Task No_page_can_frame_it_and_no_text_can_be_a_script(string path)
    {
        var answer = await GetAsync(path);
        Assert.Equal("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
            + "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
            answer.Header("Content-Security-Policy"));
        Assert.Equal(("nosniff", "no-referrer", "DENY", "same-origin"),
            (answer.Header("X-Content-Type-Options"), answer.Header("Referrer-Policy"),
                answer.Header("X-Frame-Options"), answer.Header("Cross-Origin-Opener-Policy")));
    }

    [Fact]
    public async Task A_gateway_without_the_dashboard_shows_how_to_build_it()
    {
        var none = new DashboardFiles(new Dictionary<string, byte[]>());
        var answer = await GetAsync("", null, none);
        Assert.Equal(200, answer.Status);
        Assert.Contains("make publish", answer.Text, StringComparison.Ordinal);
        Assert.Equal("no-cache", answer.Header("Cache-Control"));
        Assert.Equal(404, (await GetAsync("endpoints", null, none)).Status);
    }

    [Fact]
    public async Task A_path_without_its_slash_is_redirected_and_HEAD_has_no_body()
    {
        var answer = await GetAsync("", null, Built, requestPath: "/ui");
        Assert.Equal((302, "/ui/"), (answer.Status, answer.Header("Location")));
        var head = await GetAsync("", null, Built, "HEAD");
        Assert.Equal((200, 0, $"{Page.Length}"), (head.Status, head.Body.Length, head.Header("Content-Length")));
    }

    private static Task<Answer> GetAsync(string path, params (string Name, string Value)[] headers) =>
        GetAsync(path, headers, Built);

    private static async Task<Answer> GetAsync(string path, (string Name, string Value)[]? headers,
        DashboardFiles files, string method = "GET", string? requestPath = null)
    {
        var context = new DefaultHttpContext();
        context.Request.Method = method;
        context.Request.Path = requestPath ?? "/ui/" + path;
        foreach (var (name, value) in headers ?? []) context.Request.Headers[name] = value;
        using var body = new MemoryStream();
        context.Response.Body = body;
        await DashboardApi.ServeAsync(context, files, path);
        return new Answer(context.Response.StatusCode, body.ToArray(), context.Response.Headers);
    }

    private sealed record Answer(int Status, byte[] Body, IHeaderDictionary Headers)
    {
        public string Text => Encoding.UTF8.GetString(Body);

        public string Header(string name) => Headers[name].ToString();
    }
}
