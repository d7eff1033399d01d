using System.Text;
using System.Text.Unicode;

namespace Sluice.Gateway.Http;

/// <summary>
/// Makes a handler's JSON valid UTF-8, which RFC 8259 (section 8.1) requires. .NET's JSON reader does not validate the
/// bytes of strings.
/// </summary>
internal static class Utf8Text
{
    /// <summary>
    /// Returns the same bytes if they are valid UTF-8. Otherwise each invalid sequence becomes U+FFFD, as in event
    /// streams (WHATWG HTML, 9.2.6), so that the rest of the result is kept.
    /// </summary>
    public static byte[] Repaired(byte[] text) => Utf8.IsValid(text)
        ? text : Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(text));
}
