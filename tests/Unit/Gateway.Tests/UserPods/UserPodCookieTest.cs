using Sluice.Gateway.UserPods;

namespace Sluice.Gateway.Tests.UserPods;

/// <summary>Tests that a cookie is valid only as the gateway signed it, and for its time.</summary>
public sealed class UserPodCookieTest
{
    private static readonly DateTimeOffset Now = new(2026, 6, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly byte[] Secret = [.. Enumerable.Range(0, 32).Select(n => (byte)n)];
    private static readonly UserPodCookie Cookie = new("a0123456789abc", "key1", Now + TimeSpan.FromHours(1));

    [Fact]
    public void A_signed_cookie_is_read() => Assert.Equal(Cookie, UserPodCookie.Read(Cookie.Sign(Secret), Secret, Now));

    [Fact]
    public void A_cookie_is_invalid_after_its_time()
    {
        var value = Cookie.Sign(Secret);
        Assert.NotNull(UserPodCookie.Read(value, Secret, Cookie.ExpiresAt - TimeSpan.FromSeconds(1)));
        Assert.Null(UserPodCookie.Read(value, Secret, Cookie.ExpiresAt));
    }

    [Fact]
    public void A_cookie_with_any_changed_character_is_invalid()
    {
        var value = Cookie.Sign(Secret);
        for (var i = 0; i < value.Length; i++)
        {
            var changed = value[..i] + (value[i] == '1' ? '2' : '1') + value[(i + 1)..];
            Assert.Null(UserPodCookie.Read(changed, Secret, Now));
            Assert.Null(UserPodCookie.Read(value[..i], Secret, Now));
        }
    }

    [Fact]
    public void A_cookie_of_another_secret_or_of_parts_of_others_is_invalid()
    {
        Assert.Null(UserPodCookie.Read(Cookie.Sign(new byte[32]), Secret, Now));
        var other = Cookie with { PodId = "b0123456789abc" };
        var (mine, theirs) = (Cookie.Sign(Secret), other.Sign(Secret));
        Assert.Null(UserPodCookie.Read(theirs[..theirs.LastIndexOf('.')] + mine[mine.LastIndexOf('.')..], Secret, Now));
        Assert.Null(UserPodCookie.Read("", Secret, Now));
        Assert.Null(UserPodCookie.Read("....", Secret, Now));
        Assert.Null(UserPodCookie.Read(mine + new string('0', 200), Secret, Now));
    }

    [Theory]
    [InlineData(null, "", null)]
    [InlineData("a=1; sluice-pod=x; b=2", "x", "a=1; b=2")]
    [InlineData("sluice-pod=x", "x", null)]
    [InlineData("sluice-pod=x; sluice-pod=y;a=1", "x y", "a=1")]
    [InlineData("sluice-podx=1; xsluice-pod=2", "", "sluice-podx=1; xsluice-pod=2")]
    [InlineData("a=sluice-pod=1", "", "a=sluice-pod=1")]
    public void Its_values_are_found_and_removed(string? header, string values, string? rest)
    {
        Assert.Equal(values, string.Join(' ', UserPodCookie.Find(header, "sluice-pod")));
        Assert.Equal(rest, UserPodCookie.Without(header, "sluice-pod"));
    }

    [Theory]
    [InlineData(false, null, "sluice-pod")]
    [InlineData(false, "http://pods.test", "sluice-pod")]
    [InlineData(false, "https://pods.test", "__Host-sluice-pod")]
    [InlineData(true, "https://pods.test", "sluice-pod")]
    public void Its_name_binds_it_to_its_host_where_browsers_can(bool paths, string? url, string name) =>
        Assert.Equal(name, UserPodCookie.NameOf(new UserPodRouting(paths, url is null ? null : new Uri(url))));
}
