using Microsoft.AspNetCore.Http;
using Sluice.Domain.Declarations;
using Sluice.Gateway.Forwarding;

namespace Sluice.Gateway.Tests.Forwarding;

public sealed class ForwardedHeadersTest
{
    [Theory]
    [InlineData("a=1", "a=1; Path=/e/app/")]
    [InlineData("a=1; Path=/", "a=1; Path=/e/app/")]
    [InlineData("a=1; Path=/e/app/x; HttpOnly", "a=1; HttpOnly; Path=/e/app/x")]
    [InlineData("a=1; Path=/e/apple/", "a=1; Path=/e/app/")]
    [InlineData("a=1; path=/e/other/", "a=1; Path=/e/app/")]
    [InlineData("a=1; Path=/e/app/; Path=/", "a=1; Path=/e/app/")]
    [InlineData("a=1; Domain=example.com; Secure", "a=1; Secure; Path=/e/app/")]
    [InlineData("a=1;DOMAIN=example.com;SameSite=Lax", "a=1; SameSite=Lax; Path=/e/app/")]
    // Browsers remove the space, and use the last attribute.
    [InlineData("a=1; Path =/; Domain =example.com", "a=1; Path =/; Path=/e/app/")]
    public void A_cookie_applies_to_paths_below_the_prefix_only(string cookie, string expected) =>
        Assert.Equal(expected, ForwardedHeaders.KeepBelow(cookie, "/e/app/"));

    [Theory]
    [InlineData(false, "http")]
    [InlineData(true, "https")]
    public void The_worker_gets_the_host_and_the_scheme_that_the_client_used(bool isSecure, string scheme)
    {
        var context = new DefaultHttpContext();
        context.Request.Scheme = "http";
        context.Request.Host = new HostString("inference.example.com");
        context.Request.Headers.Cookie = new[] { "a=1; b=2", "c=3" };
        using var request = new HttpRequestMessage();
        var template = new Template { Name = "t", PassHost = true, PassCookies = true };
        ForwardedHeaders.Add(request, context.Request, template, isSecure);
        Assert.Equal("inference.example.com", request.Headers.Host);
        Assert.Equal(scheme, request.Headers.GetValues("X-Forwarded-Proto").Single());
        Assert.Equal("a=1; b=2; c=3", request.Headers.GetValues("Cookie").Single());
    }
}
