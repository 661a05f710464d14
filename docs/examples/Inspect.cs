// The decision of one picture with .NET alone: dotnet run -- photo.jpg http://gateway:8000
using System.Net.Http.Headers;
using System.Text.Json;

var key = Environment.GetEnvironmentVariable("ONEGAUGE_API_KEY") ?? "none";
using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(10) };
client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);

using var picture = new ByteArrayContent(File.ReadAllBytes(args[0]));
picture.Headers.ContentType = new MediaTypeHeaderValue("image/jpeg");
using var answer = await client.PostAsync($"{args[1]}/v1/inspect?line=press-3", picture);
var body = await answer.Content.ReadAsStringAsync();
if (!answer.IsSuccessStatusCode)
{
    Console.Error.WriteLine(body);
    return 3;
}
using var document = JsonDocument.Parse(body);
Console.WriteLine(document.RootElement.GetProperty("results")[0].GetProperty("decision").GetString());
return 0;
