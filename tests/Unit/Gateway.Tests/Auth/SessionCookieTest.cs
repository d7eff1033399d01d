using Microsoft.AspNetCore.Http;
using Sluice.Gateway.Forwarding;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.Tests.Auth;

public sealed class SessionCookieTest
{
    private const string A = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    private const string B = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

    [Fact]
    public void Over_TLS_only_the_name_that_no_other_host_can_set_is_read()
    {
        string[] both = [$"x=1; sluice-session={B}; __Host-sluice-session={A}"];
        Assert.Equal(A, SessionCookie.Find(both, isSecure: true));
        Assert.Equal(A, SessionCookie.Find(both, isSecure: false));
        Assert.Null(SessionCookie.Find($"sluice-session={B}", isSecure: true));
        Assert.Equal(B, SessionCookie.Find($"a=1;sluice-session={B}", isSecure: false));
        Assert.Equal(B, SessionCookie.Find(new[] { "a=1", $"sluice-session={B}" }, isSecure: false));
    }

    [Theory]
    [InlineData("")]
    [InlineData("sluice-session=")]
    [InlineData("sluice-session=short")]
    [InlineData("sluice-session")]
    [InlineData("my-sluice-session=" + A)]
    [InlineData("sluice-session=" + A + "0")]
    public void Other_values_are_not_tokens(string cookies) =>
        Assert.Null(SessionCookie.Find(cookies, isSecure: false));

    [Fact]
    public void Sessions_are_removed_from_all_headers_and_other_cookies_stay()
    {
        Assert.Equal("a=1; b=2", SessionCookie.Remove($"a=1; __Host-sluice-session={A}; b=2; sluice-session={B}"));
        Assert.Equal("a=1; b=2", SessionCookie.Remove(new[] { "a=1", $"sluice-session={A};b=2", "sluice-session" }));
        Assert.Equal("", SessionCookie.Remove($"sluice-session = {A}"));
        Assert.Equal("own=1", SessionCookie.Remove("own=1"));
    }

    [Fact]
    public void A_worker_cannot_set_a_session()
    {
        Assert.Equal<string?>(["a=1; Path=/e/x/"], ForwardedHeaders.KeepBelow(
            new[] { "a=1", $" sluice-session={A}; Path=/", $"__Host-sluice-session={A}" }, "/e/x/").ToArray());
    }

    [Fact]
    public void The_cookie_is_of_the_host_and_of_no_script()
    {
        var context = new DefaultHttpContext();
        SessionCookie.Set(context.Response, A, isSecure: true);
        Assert.Equal(
            $"__Host-sluice-session={A}; max-age=43200; path=/; secure; samesite=strict; httponly",
            context.Response.Headers.SetCookie.ToString());
        Assert.Equal("no-store", context.Response.Headers.CacheControl.ToString());
        context = new DefaultHttpContext();
        SessionCookie.Set(context.Response, A, isSecure: false);
        Assert.Equal($"sluice-session={A}; max-age=43200; path=/; samesite=strict; httponly",
            context.Response.Headers.SetCookie.ToString());
    }

    [Theory]
    [InlineData("text/html; charset=utf-8", true)]
    [InlineData("image/svg+xml", true)]
    [InlineData("application/xhtml+xml", true)]
    [InlineData("text/xml", true)]
    [InlineData("application/pdf", true)]
    [InlineData("multipart/x-mixed-replace; boundary=b", true)]
    [InlineData("application/jsonx", true)]
    [InlineData("", true)]
    [InlineData(null, true)]
    [InlineData("application/json", false)]
    [InlineData("Application/JSON;charset=utf-8", false)]
    [InlineData("text/event-stream", false)]
    [InlineData("text/plain", false)]
    [InlineData("image/png", false)]
    [InlineData("audio/wav", false)]
    public void What_may_be_a_page_is_isolated(string? type, bool expected) =>
        Assert.Equal(expected, WorkerPages.MayBePage(type));
}
